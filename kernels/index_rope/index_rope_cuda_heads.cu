// The index query heads of a token and, behind them, its cache entry are numbered through, a warp for each, one element
// or pair per lane and step: at most four steps of 128 elements, so the launch is what takes the time.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/index_rope/index_rope_cuda_heads_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128;

SIMT_INLINE void store_one(Type t, void* p, std::int64_t i, float v) {
  const float one[1] = {v};
  store_typed(t, p, i, one);
}

SIMT_INLINE float load_one(Type t, const void* p, std::int64_t i) {
  float v[1];
  load_typed(t, p, i, v);
  return v[0];
}

// Where an element of x is stored is times w (null: 1) plus b, of x less `mean` and times `scale`.
template <class X>
struct Row {
  const X* x;
  float mean, scale;
  bool normed;
  SIMT_INLINE float at(const IndexRopeCudaHeads& p, int i) const {
    const float v = to_float(x[i]);
    return normed ? (v - mean) * (scale * load_one(p.w_type, p.norm, i)) + load_one(p.w_type, p.bias, i) : v;
  }
};

// head_dim elements to `out` from element `to` on, the first rope_dim of them turned.
template <class X>
SIMT_INLINE void turn(const IndexRopeCudaHeads& p, const Row<X>& row, std::int64_t position, Type type, void* out,
                      std::int64_t to) {
  const int half = p.rope_dim / 2;
  for (int i = lane(); i < half; i += 32) {
    const float c = p.cos[position * half + i], s = p.sin[position * half + i];
    const int one = p.interleaved ? 2 * i : i, other = p.interleaved ? 2 * i + 1 : i + half;
    const float a = row.at(p, one), b = row.at(p, other);
    store_one(type, out, to + one, a * c - b * s);
    store_one(type, out, to + other, b * c + a * s);
  }
  for (int i = p.rope_dim + lane(); i < p.head_dim; i += 32) store_one(type, out, to + i, row.at(p, i));
}

template <class X>
__global__ void __launch_bounds__(kThreads) heads(IndexRopeCudaHeads p) {
  grid_launch_dependents();
  const auto all = static_cast<std::uint32_t>(p.heads + 1);
  const std::uint32_t item = blockIdx.x * (kThreads / 32) + static_cast<unsigned>(warp());
  grid_wait();
  if (item >= p.tokens * all) return;  // whole warps
  const std::uint32_t token = item / all, head = item % all, sequence = token / static_cast<std::uint32_t>(p.q_len);
  const std::int64_t position = p.first_position + token % static_cast<std::uint32_t>(p.q_len);
  if (head < static_cast<std::uint32_t>(p.heads)) {
    const std::int64_t at = (static_cast<std::int64_t>(token) * p.heads + head) * p.head_dim;
    turn(p, Row<X>{static_cast<const X*>(p.q) + at, 0, 1, false}, position, p.y_type, p.rotated, at);
    return;
  }
  const X* x = static_cast<const X*>(p.k) + static_cast<std::int64_t>(token) * p.head_dim;
  float sum = 0, squares = 0;
  for (int i = lane(); i < p.head_dim; i += 32) sum += to_float(x[i]);
  const float mean = warp_sum(sum) / static_cast<float>(p.head_dim);
  for (int i = lane(); i < p.head_dim; i += 32) squares += (to_float(x[i]) - mean) * (to_float(x[i]) - mean);
  const float scale = reciprocal_sqrt(warp_sum(squares) / static_cast<float>(p.head_dim) + p.eps);
  turn(p, Row<X>{x, mean, scale, true}, position, p.kv_type, p.cache, (sequence * p.capacity + position) * p.head_dim);
}

}  // namespace

int launch_index_rope_cuda_heads(const IndexRopeCudaHeads& p, Stream stream) {
  const std::int64_t warps = p.tokens * (p.heads + 1), per_block = kThreads / 32;
  const Launch l{dim3(static_cast<unsigned>((warps + per_block - 1) / per_block)), dim3(kThreads), 0, stream, kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    return launch("index_rope_cuda_heads", l, heads<std::remove_pointer_t<decltype(x)>>, p);
  });
}

}  // namespace layercost

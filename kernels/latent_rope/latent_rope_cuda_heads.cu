// The query heads of a token and, behind them, its cache entry are numbered through, a warp for each, one element or
// pair per lane and step. An entry of 576 elements is 18 steps, the rest less: the launch is what takes the time.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/latent_rope/latent_rope_cuda_heads_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128;

SIMT_INLINE void store_one(Type t, void* p, std::int64_t i, float v) {
  const float one[1] = {v};
  store_typed(t, p, i, one);
}

// rope_dim elements of x, turned, to `out` from element `at` on.
template <class X>
SIMT_INLINE void rotate(const LatentRopeCudaHeads& p, const X* x, std::int64_t position, Type type, void* out,
                        std::int64_t at) {
  const int half = p.rope_dim / 2;
  for (int i = lane(); i < half; i += 32) {
    const float c = p.cos[position * half + i], s = p.sin[position * half + i];
    const int one = p.interleaved ? 2 * i : i, other = p.interleaved ? 2 * i + 1 : i + half;
    const float a = to_float(x[one]), b = to_float(x[other]);
    store_one(type, out, at + one, a * c - b * s);
    store_one(type, out, at + other, b * c + a * s);
  }
}

template <class X>
__global__ void __launch_bounds__(kThreads) heads(LatentRopeCudaHeads p) {
  grid_launch_dependents();
  const auto all = static_cast<std::uint32_t>(p.heads + 1);
  const std::uint32_t item = blockIdx.x * (kThreads / 32) + static_cast<unsigned>(warp());
  grid_wait();
  if (item >= p.tokens * all) return;  // whole warps
  const std::uint32_t token = item / all, head = item % all, sequence = token / static_cast<std::uint32_t>(p.q_len);
  const std::int64_t position = p.first_position + token % static_cast<std::uint32_t>(p.q_len);
  if (head < static_cast<std::uint32_t>(p.heads)) {
    const std::int64_t at = (static_cast<std::int64_t>(token) * p.heads + head) * (p.nope_dim + p.rope_dim);
    const X* x = static_cast<const X*>(p.q) + at;
    for (int i = lane(); i < p.nope_dim; i += 32) store_one(p.y_type, p.rotated, at + i, to_float(x[i]));
    rotate(p, x + p.nope_dim, position, p.y_type, p.rotated, at + p.nope_dim);
    return;
  }
  const std::int64_t entry = p.latent_dim + p.rope_dim, slot = (sequence * p.capacity + position) * entry;
  const X* x = static_cast<const X*>(p.kv) + token * entry;
  float squares = 0;
  for (int i = lane(); i < p.latent_dim; i += 32) squares += to_float(x[i]) * to_float(x[i]);
  const float scale = reciprocal_sqrt(warp_sum(squares) / static_cast<float>(p.latent_dim) + p.eps);
  for (int i = lane(); i < p.latent_dim; i += 32) {
    float weight[1];
    load_typed(p.w_type, p.norm, i, weight);
    const float v = to_float(x[i]) * (scale * weight[0]);
    store_one(p.kv_type, p.cache, slot + i, v);
    if (p.latents != nullptr) store_one(p.y_type, p.latents, static_cast<std::int64_t>(token) * p.latent_dim + i, v);
  }
  rotate(p, x + p.latent_dim, position, p.kv_type, p.cache, slot + p.latent_dim);
}

}  // namespace

int launch_latent_rope_cuda_heads(const LatentRopeCudaHeads& p, Stream stream) {
  const std::int64_t warps = p.tokens * (p.heads + 1), per_block = kThreads / 32;
  const Launch l{dim3(static_cast<unsigned>((warps + per_block - 1) / per_block)), dim3(kThreads), 0, stream, kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    return launch("latent_rope_cuda_heads", l, heads<std::remove_pointer_t<decltype(x)>>, p);
  });
}

}  // namespace layercost

// A block has up to eight tokens of one head and a tile of its outputs, so that the weights are read once for eight
// tokens. `by_rows`: w's rows are outputs, a warp takes one after the other, its lanes the elements of k in vectors.
// `by_columns`: w's rows are inputs, a thread takes one output, neighbours neighbouring ones. The block of a head's
// first tile also passes the tail on.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/head_linear/head_linear_cuda_heads_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kTokens = kHeadLinearTokens, kThreads = kHeadLinearThreads, kWarps = kThreads / 32;

struct Block {
  int head, tile, tokens;
  std::int64_t first_token;

  SIMT_INLINE explicit Block(const HeadLinearCudaHeads& p) {
    const int index = static_cast<int>(blockIdx.x);
    tile = index % p.column_tiles;
    head = index / p.column_tiles % p.heads;
    first_token = static_cast<std::int64_t>(index / p.column_tiles / p.heads) * kTokens;
    tokens = p.tokens - first_token < kTokens ? static_cast<int>(p.tokens - first_token) : kTokens;
  }
  SIMT_INLINE std::int64_t row(const HeadLinearCudaHeads& p, int t) const { return (first_token + t) * p.heads + head; }
};

SIMT_INLINE void store_one(const HeadLinearCudaHeads& p, std::int64_t i, float v) {
  const float one[1] = {v};
  store_typed(p.y_type, p.y, i, one);
}

template <class X>
SIMT_INLINE void pass_tail(const HeadLinearCudaHeads& p, const Block& b) {
  if (b.tile != 0) return;
  for (int i = static_cast<int>(threadIdx.x); i < b.tokens * p.tail; i += kThreads) {
    const std::int64_t row = b.row(p, i / p.tail);
    const float v = to_float(static_cast<const X*>(p.x)[row * (p.k + p.tail) + p.k + i % p.tail]);
    store_one(p, row * (p.n + p.tail) + p.n + i % p.tail, v);
  }
}

template <int kWidth, class X, class W>
__global__ void __launch_bounds__(kThreads) by_rows(HeadLinearCudaHeads p) {
  grid_launch_dependents();
  const Block b(p);
  grid_wait();
  const W* w = static_cast<const W*>(p.w) + (b.head * p.rows + p.first_row) * p.k;
  const int end = p.n < (b.tile + 1) * kHeadLinearRows ? p.n : (b.tile + 1) * kHeadLinearRows;
  for (int j = b.tile * kHeadLinearRows + warp(); j < end; j += kWarps) {
    float sums[kTokens] = {};
    for (int i = kWidth * lane(); i < p.k; i += 32 * kWidth) {
      float weights[kWidth];
      to_floats(load_elements<kWidth>(w + static_cast<std::int64_t>(j) * p.k + i), weights);
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
        if (t >= b.tokens) continue;
        float x[kWidth];
        to_floats(load_elements<kWidth>(static_cast<const X*>(p.x) + b.row(p, t) * (p.k + p.tail) + i), x);
#pragma unroll
        for (int c = 0; c < kWidth; ++c) sums[t] += x[c] * weights[c];
      }
    }
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      const float sum = warp_sum(sums[t]);
      if (t < b.tokens && lane() == 0) store_one(p, b.row(p, t) * (p.n + p.tail) + j, sum);
    }
  }
  pass_tail<X>(p, b);
}

template <class X, class W>
__global__ void __launch_bounds__(kThreads) by_columns(HeadLinearCudaHeads p) {
  grid_launch_dependents();
  const Block b(p);
  grid_wait();
  const int j = b.tile * kThreads + static_cast<int>(threadIdx.x);
  if (j < p.n) {
    const W* w = static_cast<const W*>(p.w) + (b.head * p.rows + p.first_row) * p.n + j;
    float sums[kTokens] = {};
#pragma unroll 8
    for (int i = 0; i < p.k; ++i) {
      const float weight = to_float(w[static_cast<std::int64_t>(i) * p.n]);
#pragma unroll
      for (int t = 0; t < kTokens; ++t)
        if (t < b.tokens) sums[t] += to_float(static_cast<const X*>(p.x)[b.row(p, t) * (p.k + p.tail) + i]) * weight;
    }
#pragma unroll
    for (int t = 0; t < kTokens; ++t)
      if (t < b.tokens) store_one(p, b.row(p, t) * (p.n + p.tail) + j, sums[t]);
  }
  pass_tail<X>(p, b);
}

}  // namespace

int launch_head_linear_cuda_heads(const HeadLinearCudaHeads& p, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>(p.heads * p.column_tiles * p.token_tiles)), dim3(kThreads), 0, stream,
                 kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.w_type, [&](auto* w) {
      using X = std::remove_pointer_t<decltype(x)>;
      using W = std::remove_pointer_t<decltype(w)>;
      const auto kernel = p.transposed ? by_columns<X, W> : p.width == 8 ? by_rows<8, X, W> : by_rows<1, X, W>;
      return launch("head_linear_cuda_heads", l, kernel, p);
    });
  });
}

}  // namespace layercost

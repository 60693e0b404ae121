// Four warps hold 32 columns of a head's state (cuda/state_columns.h). The state's next value needs nothing of other
// threads; what they owe each other are the sums over rows that y is made of, added up behind one barrier a token. The
// next token's q, k and v are asked for before it.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/lightning_attention/lightning_attention_cuda_tokens_launch.h"

#include <cmath>

#include "kernels/cuda/state_columns.h"

namespace layercost {
namespace {

using namespace state_columns;

struct Shared {
  // Two of each: who is at the next token must not overwrite what others still read.
  Array<float, 2 * kWarps * kBlockColumns> sums;
};

template <int kRows>
struct Token {
  float q[kRows], k[kRows], v[kColumns];
};

SIMT_INLINE float silu(float x) { return x / (1.0f + expf(-x)); }

// As stored, not yet activated; 0, whose silu is 0, past the end.
template <int kRows, class X>
SIMT_INLINE Token<kRows> load_token(const LightningAttentionCudaTokens& p, std::int64_t token, int head, int part,
                                    int column) {
  const X* q = static_cast<const X*>(p.qkv) + (token * p.heads + head) * 3 * p.head_dim;
  const X* k = q + p.head_dim;
  const X* v = k + p.head_dim + column;
  Token<kRows> t;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int i = part + r * kParts;
    const bool in = i < p.head_dim;
    t.q[r] = in ? to_float(q[i]) : 0.0f;
    t.k[r] = in ? to_float(k[i]) : 0.0f;
  }
#pragma unroll
  for (int j = 0; j < kColumns; ++j) t.v[j] = column + j < p.head_dim ? to_float(v[j]) : 0.0f;
  return t;
}

template <int kRows, class X>
__global__ void __launch_bounds__(kThreads) tokens(LightningAttentionCudaTokens p) {
  grid_launch_dependents();
  const int slices = (p.head_dim + kBlockColumns - 1) / kBlockColumns;
  const int slice = static_cast<int>(blockIdx.x) % slices, all = static_cast<int>(blockIdx.x) / slices;
  const int head = all % p.heads, sequence = all / p.heads;
  const int side = lane() % kLanes, part = warp() * (32 / kLanes) + lane() / kLanes;
  const int column = slice * kBlockColumns + side * kColumns;
  const std::int64_t at = static_cast<std::int64_t>(all) * p.head_dim * p.head_dim;
  const float decay = expf(-p.slopes[head]);
  Shared& of_block = shared<Shared>();
  grid_wait();

  float s[kRows][kColumns] = {};
  if (p.state != nullptr) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      if (part + r * kParts < p.head_dim)
        load_columns(p.state + at, p.head_dim, p.vectors, part + r * kParts, column, s[r]);
  }
  const std::int64_t first = sequence * p.q_len;
  Token<kRows> t = load_token<kRows, X>(p, first, head, part, column);
  for (std::int64_t i = 0; i < p.q_len; ++i) {
    float sums[kColumns] = {}, v[kColumns];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) v[j] = silu(t.v[j]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float q = silu(t.q[r]), k = silu(t.k[r]);
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        s[r][j] = decay * s[r][j] + k * v[j];
        sums[j] += q * s[r][j];
      }
    }
    add_within_warp(sums);
    const int of_token = static_cast<int>(i % 2) * kWarps;
    if (lane() < kLanes) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        of_block.sums[(of_token + warp()) * kBlockColumns + side * kColumns + j] = sums[j];
    }
    if (i + 1 < p.q_len) t = load_token<kRows, X>(p, first + i + 1, head, part, column);
    sync_block();
    // A column of y per thread of the first warp.
    const int mine = slice * kBlockColumns + static_cast<int>(threadIdx.x);
    if (warp() == 0 && mine < p.head_dim) {
      float y[1] = {0};
#pragma unroll
      for (int w = 0; w < kWarps; ++w) y[0] += of_block.sums[(of_token + w) * kBlockColumns + lane()];
      store_typed(p.y_type, p.y, ((first + i) * p.heads + head) * p.head_dim + mine, y);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    if (part + r * kParts < p.head_dim)
      store_columns(p.next + at, p.head_dim, p.vectors, part + r * kParts, column, s[r]);
}

}  // namespace

int launch_lightning_attention_cuda_tokens(const LightningAttentionCudaTokens& p, Stream stream) {
  const std::int64_t slices = (p.head_dim + kBlockColumns - 1) / kBlockColumns;
  const Launch l{dim3(static_cast<unsigned>(p.batch * p.heads * slices)), dim3(kThreads), sizeof(Shared), stream,
                 kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    using X = std::remove_pointer_t<decltype(x)>;
    const auto kernel = p.head_dim <= 8 * kParts ? tokens<8, X> : tokens<kLightningMostHeadDim / kParts, X>;
    return launch("lightning_attention_cuda_tokens", l, kernel, p);
  });
}

}  // namespace layercost

// Four warps hold 32 columns of a head's state (cuda/state_columns.h). A token is one pass over the registers and one
// barrier, because sums over rows are all that threads owe each other, and the norms of q and k and their product are
// sums of the same kind:
//   k^T S, q^T S, |k|^2, |q|^2, q.k  ->  delta = beta (v - decay k^T S),  y = decay q^T S + (q.k) delta
// with the factors of q and k taken out of the sums. The next token's q, k and v are asked for before the barrier.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_delta/gated_delta_cuda_tokens_launch.h"

#include <cmath>

#include "kernels/cuda/state_columns.h"

namespace layercost {
namespace {

using namespace state_columns;

constexpr int kSums = 2 * kColumns + 3;
constexpr float kEps = 1e-6f;  // of the norms of q and k

struct Shared {
  // Two of each: who is at the next token must not overwrite what others still read.
  Array<float, 2 * kWarps * kLanes * kSums> sums;
};

template <int kRows>
struct Token {
  float q[kRows], k[kRows], v[kColumns], a, b;
};

template <int kRows, class X>
SIMT_INLINE Token<kRows> load_token(const GatedDeltaCudaTokens& p, std::int64_t token, int head, int part, int column) {
  const int keys = p.key_heads * p.key_dim, key_head = head / (p.heads / p.key_heads);
  const X* row = static_cast<const X*>(p.qkv) + token * (2 * keys + p.heads * p.value_dim);
  const X* q = row + key_head * p.key_dim;
  const X* v = row + 2 * keys + head * p.value_dim + column;
  Token<kRows> t;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int i = part + r * kParts;
    const bool in = i < p.key_dim;
    t.q[r] = in ? to_float(q[i]) : 0.0f;
    t.k[r] = in ? to_float(q[keys + i]) : 0.0f;
  }
#pragma unroll
  for (int j = 0; j < kColumns; ++j) t.v[j] = column + j < p.value_dim ? to_float(v[j]) : 0.0f;
  t.b = p.ba[token * 2 * p.heads + head];
  t.a = p.ba[token * 2 * p.heads + p.heads + head];
  return t;
}

template <int kRows, class X>
__global__ void __launch_bounds__(kThreads) tokens(GatedDeltaCudaTokens p) {
  grid_launch_dependents();
  const int slices = (p.value_dim + kBlockColumns - 1) / kBlockColumns;
  const int slice = static_cast<int>(blockIdx.x) % slices, all = static_cast<int>(blockIdx.x) / slices;
  const int head = all % p.heads, sequence = all / p.heads;
  const int side = lane() % kLanes, part = warp() * (32 / kLanes) + lane() / kLanes;
  const int column = slice * kBlockColumns + side * kColumns;
  const std::int64_t at = static_cast<std::int64_t>(all) * p.key_dim * p.value_dim;
  const float rate = expf(p.a_log[head]), bias = p.dt_bias[head];
  Shared& shared_sums = shared<Shared>();
  grid_wait();

  float s[kRows][kColumns] = {};
  if (p.state != nullptr) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      if (part + r * kParts < p.key_dim)
        load_columns(p.state + at, p.value_dim, p.vectors, part + r * kParts, column, s[r]);
  }
  const std::int64_t first = sequence * p.q_len;
  Token<kRows> t = load_token<kRows, X>(p, first, head, part, column);
  for (std::int64_t i = 0; i < p.q_len; ++i) {
    float sums[kSums] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        sums[j] += t.k[r] * s[r][j];
        sums[kColumns + j] += t.q[r] * s[r][j];
      }
      sums[2 * kColumns] += t.k[r] * t.k[r];
      sums[2 * kColumns + 1] += t.q[r] * t.q[r];
      sums[2 * kColumns + 2] += t.q[r] * t.k[r];
    }
    add_within_warp(sums);
    const int of_token = static_cast<int>(i % 2) * kWarps;
    if (lane() < kLanes) {
#pragma unroll
      for (int n = 0; n < kSums; ++n) shared_sums.sums[((of_token + warp()) * kLanes + side) * kSums + n] = sums[n];
    }
    Token<kRows> now = t;
    if (i + 1 < p.q_len) t = load_token<kRows, X>(p, first + i + 1, head, part, column);
    sync_block();
#pragma unroll
    for (int n = 0; n < kSums; ++n) {
      sums[n] = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) sums[n] += shared_sums.sums[((of_token + w) * kLanes + side) * kSums + n];
    }

    const float in = now.a + bias, softplus = in > 30.0f ? in : log1pf(expf(in));
    const float decay = expf(-rate * softplus), beta = 1.0f / (1.0f + expf(-now.b));
    const float of_k = reciprocal_sqrt(sums[2 * kColumns] + kEps);
    const float of_q = reciprocal_sqrt(sums[2 * kColumns + 1] + kEps) * p.q_scale;
    const float qk = sums[2 * kColumns + 2] * of_k;
    float delta[kColumns], y[kColumns];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      delta[j] = beta * (now.v[j] - decay * of_k * sums[j]);
      y[j] = of_q * (decay * sums[kColumns + j] + qk * delta[j]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float k = now.k[r] * of_k;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) s[r][j] = decay * s[r][j] + k * delta[j];
    }
    if (part == 0) {
      const std::int64_t row = ((first + i) * p.heads + head) * p.value_dim + column;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const float one[1] = {y[j]};
        if (column + j < p.value_dim) store_typed(p.y_type, p.y, row + j, one);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    if (part + r * kParts < p.key_dim)
      store_columns(p.next + at, p.value_dim, p.vectors, part + r * kParts, column, s[r]);
}

}  // namespace

int launch_gated_delta_cuda_tokens(const GatedDeltaCudaTokens& p, Stream stream) {
  const std::int64_t slices = (p.value_dim + kBlockColumns - 1) / kBlockColumns;
  const Launch l{dim3(static_cast<unsigned>(p.batch * p.heads * slices)), dim3(kThreads), sizeof(Shared), stream,
                 kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    using X = std::remove_pointer_t<decltype(x)>;
    const auto kernel = p.key_dim <= 8 * kParts ? tokens<8, X> : tokens<kGatedDeltaMostKeyDim / kParts, X>;
    return launch("gated_delta_cuda_tokens", l, kernel, p);
  });
}

}  // namespace layercost

// Sixteen lanes per head, which at 128 dims hold eight elements each: a pass that squares, and one that scales and
// gates, whose x comes from the cache.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_norm/gated_norm_cuda_heads_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 256, kTeam = 16;

SIMT_INLINE float silu(float g) {
  constexpr float kLog2E = 1.4426950408889634f;
  return divide_fast(g, 1.0f + exp2_fast(-kLog2E * g));
}

template <int kWidth>
__global__ void __launch_bounds__(kThreads) teams(GatedNormCudaHeads p) {
  grid_launch_dependents();
  grid_wait();
  const std::int64_t team = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kTeam;
  const bool inside = team < p.tokens * p.heads;  // the other half of the warp may be
  const std::int64_t token = inside ? team / p.heads : 0, head = inside ? team % p.heads : 0;
  const std::int64_t at = (token * p.heads + head) * p.dim;
  const std::int64_t gate = (token + 1) * p.z_width - (static_cast<std::int64_t>(p.heads) - head) * p.dim;
  const int first = lane() % kTeam * kWidth;
  float squares = 0;
  for (int i = first; i < p.dim; i += kTeam * kWidth) {
    float v[kWidth];
    load_typed(p.x_type, p.x, at + i, v);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) squares += v[j] * v[j];
  }
#pragma unroll
  for (int mask = kTeam / 2; mask > 0; mask /= 2) squares += shuffle_xor(squares, mask);
  if (!inside) return;
  const float scale = reciprocal_sqrt(squares / static_cast<float>(p.dim) + p.eps);
  for (int i = first; i < p.dim; i += kTeam * kWidth) {
    float v[kWidth], z[kWidth], w[kWidth];
    load_typed(p.x_type, p.x, at + i, v);
    load_typed(p.x_type, p.z, gate + i, z);
    load_typed(p.w_type, p.w, i, w);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] *= scale * w[j] * silu(z[j]);
    store_typed(p.y_type, p.y, at + i, v);
  }
}

}  // namespace

int launch_gated_norm_cuda_heads(const GatedNormCudaHeads& p, Stream stream) {
  constexpr int kPerBlock = kThreads / kTeam;
  const Launch l{dim3(static_cast<unsigned>((p.tokens * p.heads + kPerBlock - 1) / kPerBlock)), dim3(kThreads), 0,
                 stream, kOverlap};
  return launch("gated_norm_cuda_heads", l, p.width == 8 ? teams<8> : teams<1>, p);
}

}  // namespace layercost

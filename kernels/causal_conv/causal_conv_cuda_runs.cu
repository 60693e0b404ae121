// A thread holds the sums of up to eight channels x eight tokens that follow one another, so that a tap's weights are
// loaded once for all of them; a token's row, which the runs around it read as well, comes from the caches. In decode a
// run is one token. Further threads copy what becomes the state.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/causal_conv/causal_conv_cuda_runs_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128, kRun = 8;

SIMT_INLINE float silu(float v) {
  constexpr float kLog2E = 1.4426950408889634f;
  return divide_fast(v, 1.0f + exp2_fast(-kLog2E * v));
}

// Channels c and on of a sequence's row `token`, which before the first is the state's, or zero.
template <int kWidth>
SIMT_INLINE void load_row(const CausalConvCudaRuns& p, std::int64_t sequence, std::int64_t token, std::int64_t c,
                          float (&v)[kWidth]) {
  if (token >= 0) return load_typed(p.x_type, p.x, (sequence * p.q_len + token) * p.x_width + c, v);
  const std::int64_t before = p.kernel - 1;
  if (p.state != nullptr)
    return load_typed(p.x_type, p.state, (sequence * before + token + before) * p.channels + c, v);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) v[j] = 0.0f;
}

template <int kWidth>
__global__ void __launch_bounds__(kThreads) runs(CausalConvCudaRuns p) {
  grid_launch_dependents();
  grid_wait();
  const std::int64_t per_row = p.channels / kWidth, runs_each = (p.q_len + kRun - 1) / kRun;
  std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t c = item % per_row * kWidth;
  item /= per_row;
  if (item < p.batch * runs_each) {
    const std::int64_t sequence = item / runs_each, first = item % runs_each * kRun;
    float sums[kRun][kWidth] = {};
    for (int tap = 0; tap < p.kernel; ++tap) {
      float w[kWidth];
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        float one[1];
        load_typed(p.w_type, p.w, (c + j) * p.kernel + tap, one);
        w[j] = one[0];
      }
#pragma unroll
      for (int t = 0; t < kRun; ++t) {
        if (first + t >= p.q_len) continue;
        float v[kWidth];
        load_row(p, sequence, first + t - p.kernel + 1 + tap, c, v);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) sums[t][j] += w[j] * v[j];
      }
    }
#pragma unroll
    for (int t = 0; t < kRun; ++t) {
      if (first + t >= p.q_len) continue;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sums[t][j] = silu(sums[t][j]);
      store_typed(p.y_type, p.y, (sequence * p.q_len + first + t) * p.channels + c, sums[t]);
    }
    return;
  }
  item -= p.batch * runs_each;
  const std::int64_t before = p.kernel - 1;
  if (item >= p.batch * before) return;
  float v[kWidth];
  load_row(p, item / before, p.q_len - before + item % before, c, v);
  store_typed(p.x_type, p.next, item * p.channels + c, v);
}

}  // namespace

int launch_causal_conv_cuda_runs(const CausalConvCudaRuns& p, Stream stream) {
  const std::int64_t rows = p.batch * ((p.q_len + kRun - 1) / kRun + p.kernel - 1);
  const std::int64_t items = rows * (p.channels / p.width);
  const Launch l{dim3(static_cast<unsigned>((items + kThreads - 1) / kThreads)), dim3(kThreads), 0, stream, kOverlap};
  return launch("causal_conv_cuda_runs", l, p.width == 8 ? runs<8> : runs<1>, p);
}

}  // namespace layercost

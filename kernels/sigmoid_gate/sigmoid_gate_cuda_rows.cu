// A piece of y per thread. The pieces of all rows are numbered through: gates are numbered like elements, a group each.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/sigmoid_gate/sigmoid_gate_cuda_rows_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 256;

SIMT_INLINE float sigmoid(float g) {
  constexpr float kLog2E = 1.4426950408889634f;
  return divide_fast(1.0f, 1.0f + exp2_fast(-kLog2E * g));
}

template <int kWidth>
__global__ void __launch_bounds__(kThreads) pieces(SigmoidGateCudaRows p) {
  grid_launch_dependents();
  grid_wait();
  const std::int64_t piece = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= p.pieces) return;
  float v[kWidth], g[kWidth];
  load_typed(p.x_type, p.x, piece * kWidth, v);
  if (p.group == 1) {
    load_typed(p.gate_type, p.gate, piece * kWidth, g);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] *= sigmoid(g[j]);
  } else {
    float one[1];
    load_typed(p.gate_type, p.gate, piece * kWidth / p.group, one);
    const float factor = sigmoid(one[0]);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] *= factor;
  }
  store_typed(p.y_type, p.y, piece * kWidth, v);
}

}  // namespace

int launch_sigmoid_gate_cuda_rows(const SigmoidGateCudaRows& p, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>((p.pieces + kThreads - 1) / kThreads)), dim3(kThreads), 0, stream,
                 kOverlap};
  return launch("sigmoid_gate_cuda_rows", l, p.width == 8 ? pieces<8> : pieces<1>, p);
}

}  // namespace layercost

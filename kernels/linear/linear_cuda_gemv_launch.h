// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

constexpr int kLinearCudaGemvTokens = 8;  // the most rows of x
constexpr int kLinearCudaGemvWarps = 8;   // of a block
constexpr int kLinearCudaGemvLoads = 8;   // of 16 bytes of weights, that a lane has on their way

struct LinearCudaGemv {
  int m, n, k;
  const void *x, *w, *bias, *residual;  // bias, residual: null without
  void* y;
  simt::Type y_type;
  int rows;   // of w that a warp multiplies at once: 1, 2
  int split;  // warps that share these rows, each with a part of k: 1, 2, 4, 8
};
// m up to kLinearCudaGemvTokens.
LAYERCOST_DEVICE_CODE int launch_linear_cuda_gemv(const LinearCudaGemv&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/mma_shape.h"
#include "kernels/simt/launch.h"

namespace layercost {

// Largest first. The first fits only where a block may have 192 KB; two of the second share 228 KB.
constexpr MmaShape kLinearCudaTiles[] = {
    {128, 256, 64, 2, 4, 4, 1},
    {128, 128, 64, 2, 2, 3, 2},
    {64, 128, 64, 2, 2, 3, 3},
    {64, 64, 64, 2, 2, 3, 4},
};
constexpr int kLinearCudaTilesShapes = sizeof(kLinearCudaTiles) / sizeof(MmaShape);

struct LinearCudaTiles {
  int m, n, k;
  const void *x, *w, *bias, *residual;  // bias, residual: null without
  void* y;
  simt::Type y_type;
  int shape;  // index of kLinearCudaTiles
};
LAYERCOST_DEVICE_CODE int launch_linear_cuda_tiles(const LinearCudaTiles&, Stream);

}  // namespace layercost

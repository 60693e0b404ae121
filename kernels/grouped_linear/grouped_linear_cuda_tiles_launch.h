// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/mma_shape.h"
#include "kernels/simt/launch.h"

namespace layercost {

// Most rows first. The first fits only where a block may have 192 KB. The last is for decoding, where most experts have
// a few rows and the time goes into reading their weights: 3 blocks keep 9 slices of 18 KB on their way.
constexpr MmaShape kGroupedLinearCudaTiles[] = {
    {128, 256, 64, 2, 4, 4, 1},
    {128, 128, 64, 2, 2, 3, 2},
    {64, 128, 64, 2, 2, 3, 3},
    {16, 128, 64, 1, 4, 4, 3},
};
constexpr int kGroupedLinearCudaTilesShapes = sizeof(kGroupedLinearCudaTiles) / sizeof(MmaShape);

struct GroupedLinearCudaTiles {
  int rows, experts, n, k;
  const void *x, *offsets, *w;
  void* y;
  simt::Type y_type;
  int shape;  // index of kGroupedLinearCudaTiles
  const void* bias;  // [experts, n]; null: none
  simt::Type bias_type;
};
LAYERCOST_DEVICE_CODE int launch_grouped_linear_cuda_tiles(const GroupedLinearCudaTiles&, Stream);

}  // namespace layercost

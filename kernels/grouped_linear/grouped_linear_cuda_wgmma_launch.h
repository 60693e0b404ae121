// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"
#include "kernels/simt/tensor_map.h"

namespace layercost {

// x, w, y in bf16; n % 8 == 0.
struct GroupedLinearCudaWgmma {
  TensorMap x, w;  // [rows, k], [experts * n, k], boxes of 64 and 96 rows, 64 columns
  int rows, experts, n, k;
  const void* offsets;
  void* y;
  int blocks;  // the device's multiprocessors
};
LAYERCOST_DEVICE_CODE int launch_grouped_linear_cuda_wgmma(const GroupedLinearCudaWgmma&, Stream);

}  // namespace layercost

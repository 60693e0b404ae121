// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct GroupedLinearCudaPlain {
  std::int64_t rows, experts, n, k;
  const void *x, *w;
  const std::int32_t* offsets;
  void* y;
  simt::Type x_type, w_type, y_type;
  const void* bias;  // [experts, n]; null: none
  simt::Type bias_type;
};
LAYERCOST_DEVICE_CODE int launch_grouped_linear_cuda_plain(const GroupedLinearCudaPlain&, Stream);

}  // namespace layercost

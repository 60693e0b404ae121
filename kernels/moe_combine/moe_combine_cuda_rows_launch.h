// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct MoeCombineCudaRows {
  std::int64_t tokens, hidden, top_k;
  const void* x;
  const std::int32_t* slots;
  const float* weights;
  const void* residual;  // null without
  void* y;
  simt::Type x_type, y_type;
};
LAYERCOST_DEVICE_CODE int launch_moe_combine_cuda_rows(const MoeCombineCudaRows&, Stream);

}  // namespace layercost

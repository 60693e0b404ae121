// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct SigmoidGateCudaRows {
  std::int64_t pieces;  // of `width` elements
  int width;            // elements per access: 8, which lie in one row and have one gate or eight; or 1
  std::int64_t group;   // neighbours with one gate
  const void *x, *gate;
  void* y;
  simt::Type x_type, gate_type, y_type;
};
LAYERCOST_DEVICE_CODE int launch_sigmoid_gate_cuda_rows(const SigmoidGateCudaRows&, Stream);

}  // namespace layercost

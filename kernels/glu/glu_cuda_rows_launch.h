// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct GluCudaRows {
  std::int64_t tokens, ffn_hidden;
  const void* x;
  void* y;
  simt::Type x_type, y_type;
  enum Act { silu, clamped, gelu_tanh } act;
  float limit;  // of clamped
};
LAYERCOST_DEVICE_CODE int launch_glu_cuda_rows(const GluCudaRows&, Stream);

}  // namespace layercost

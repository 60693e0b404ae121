// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct RmsNormCudaRows {
  std::int64_t tokens, hidden;
  float eps;
  const void *x, *residual, *w;  // residual: null without
  void *sum, *y;
  simt::Type x_type, w_type, y_type;
};
LAYERCOST_DEVICE_CODE int launch_rms_norm_cuda_rows(const RmsNormCudaRows&, Stream);

}  // namespace layercost

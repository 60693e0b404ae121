// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct LinearCudaPlain {
  std::int64_t m, n, k;
  const void *x, *w, *bias, *residual;  // bias, residual: null without
  void* y;
  simt::Type x_type, w_type, y_type;
};
LAYERCOST_DEVICE_CODE int launch_linear_cuda_plain(const LinearCudaPlain&, Stream);

}  // namespace layercost

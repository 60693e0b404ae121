// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct GatedNormCudaHeads {
  std::int64_t tokens, z_width;
  int heads, dim;
  float eps;
  int width;  // elements per access: 8 (dim and z_width are multiples of it) or 1
  const void *x, *z, *w;
  void* y;
  simt::Type x_type, w_type, y_type;
};
LAYERCOST_DEVICE_CODE int launch_gated_norm_cuda_heads(const GatedNormCudaHeads&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct LatentExpandCudaRows {
  std::int64_t tokens, kv_len, capacity;
  int heads, nope_dim, rope_dim, v_dim, latent_dim;
  const void *expanded, *cache;
  void *k, *v;
  simt::Type x_type, kv_type, y_type;
  int width;  // elements per access: 8 where it divides all sizes, else 1
};
LAYERCOST_DEVICE_CODE int launch_latent_expand_cuda_rows(const LatentExpandCudaRows&, Stream);

}  // namespace layercost

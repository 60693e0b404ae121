// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct LatentRopeCudaHeads {
  std::int64_t tokens, q_len, first_position, capacity;
  int heads, nope_dim, rope_dim, latent_dim;
  bool interleaved;
  float eps;
  const void *q, *kv, *norm;
  const float *cos, *sin;
  void *rotated, *latents, *cache;  // latents: null without
  simt::Type x_type, w_type, y_type, kv_type;
};
LAYERCOST_DEVICE_CODE int launch_latent_rope_cuda_heads(const LatentRopeCudaHeads&, Stream);

}  // namespace layercost

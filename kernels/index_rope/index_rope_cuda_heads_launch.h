// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct IndexRopeCudaHeads {
  std::int64_t tokens, q_len, first_position, capacity;
  int heads, head_dim, rope_dim;
  bool interleaved;
  float eps;
  const void *q, *k, *norm, *bias;
  const float *cos, *sin;
  void *rotated, *cache;
  simt::Type x_type, w_type, y_type, kv_type;
};
LAYERCOST_DEVICE_CODE int launch_index_rope_cuda_heads(const IndexRopeCudaHeads&, Stream);

}  // namespace layercost

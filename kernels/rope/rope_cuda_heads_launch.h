// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct RopeCudaHeads {
  std::int64_t tokens, q_len, first_position, capacity, heads, kv_heads, head_dim, rotary_dims;
  bool interleaved;
  bool normed, norm_whole, norm_after;  // neither of the last two: a norm is one of each head, before it is turned
  bool v_norm, v_from_k;
  float eps;
  const void* qkv;
  const float *cos, *sin, *q_scale;  // q_scale: null without
  const void *q_norm, *k_norm;       // null without weights
  void *q, *k_cache, *v_cache;
  simt::Type x_type, w_type, y_type;
  simt::CacheType kv_type;
  int lanes;  // per head: head_dim / 16, a power of two up to 32, if 16 divides rotary_dims; 0: a warp per head
};
LAYERCOST_DEVICE_CODE int launch_rope_cuda_heads(const RopeCudaHeads&, Stream);

}  // namespace layercost

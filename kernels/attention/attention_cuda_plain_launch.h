// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

constexpr int kAttentionCudaPlainMostDims = 1024;

struct AttentionCudaPlain {
  int batch, q_len, kv_len, capacity, heads, kv_heads, qk_dim, v_dim;
  int v_stride;  // elements between the values of two keys
  int window;    // kv_len where the case has none
  int chunk;     // 0: none
  float scale;
  const void *q, *k, *v;
  const float* sinks;  // of all heads; null: none
  void* y;
  simt::Type x_type, y_type;
  simt::CacheType kv_type;
};
LAYERCOST_DEVICE_CODE int launch_attention_cuda_plain(const AttentionCudaPlain&, Stream);

}  // namespace layercost

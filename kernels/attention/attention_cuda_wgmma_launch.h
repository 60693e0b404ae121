// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"
#include "kernels/simt/tensor_map.h"

namespace layercost {

// q, k, v, y in bf16, qk_dim = v_dim = dim, 64 or 128. kv_len >= q_len; window: keys a query sees, kv_len without one.
struct AttentionCudaWgmma {
  TensorMap q;     // [batch * q_len, heads * dim]
  TensorMap k, v;  // [batch * kv_heads] slices of [kv_len, dim]; all three in boxes of 128 rows and 64 columns
  int batch, q_len, kv_len, heads, kv_heads, dim, window;
  float scale;  // times log2(e)
  void* y;
  int blocks;  // the device's multiprocessors
};
LAYERCOST_DEVICE_CODE int launch_attention_cuda_wgmma(const AttentionCudaWgmma&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct AttentionCudaPrefill {
  int batch, q_len, kv_len, capacity, heads, kv_heads;
  int window;         // kv_len where the case has none
  int chunk;          // 0: none
  int dim;            // 64 or 128
  int block_queries;  // 64 or 128
  float scale;        // times log2(e)
  const void *q, *k, *v;
  const float* sinks;  // of all heads; null: none
  float sink_factor;   // to what scale makes of scores: 1 / scale of the case
  void* y;
};
LAYERCOST_DEVICE_CODE int launch_attention_cuda_prefill(const AttentionCudaPrefill&, Stream);

// The queries and a tile of 64 keys and values.
constexpr int attention_cuda_prefill_shared_bytes(int dim, int block_queries) {
  return (block_queries + 2 * 64) * dim * 2;
}

}  // namespace layercost

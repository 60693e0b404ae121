// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

constexpr int kAttentionLatentQk = 576, kAttentionLatentV = 512;         // dims
constexpr int kAttentionLatentRows = 16, kAttentionLatentTileKeys = 32;  // of a block; of a tile

// A unit is up to 16 rows (query and head, heads of one query together) of one kv head; its keys are divided into
// splits. One block per unit and split, splits of a unit side by side.
struct AttentionCudaLatent {
  int q_len, kv_len, capacity, heads, kv_heads;
  int window;              // kv_len where the case has none
  int row_blocks;          // units per kv head
  int units;               // in all
  int first_key;           // of the first split
  int splits, split_keys;  // whole tiles, the last one what is left
  float scale;             // times log2(e)
  const void *q, *k;
  void* y;
  // With more than one split: [units, splits, 16, v] and, of the same rows, [.., 2] maximum and sum of weights;
  // [units] zeros, which every launch leaves as zeros.
  float *sums, *weights;
  int* arrived;
};
LAYERCOST_DEVICE_CODE int launch_attention_cuda_latent(const AttentionCudaLatent&, Stream);

// Two stages of keys, the queries, two halves of scores, and a flag.
constexpr int attention_cuda_latent_shared_bytes() {
  return (2 * kAttentionLatentTileKeys + kAttentionLatentRows) * kAttentionLatentQk * 2 +
         2 * kAttentionLatentRows * (kAttentionLatentTileKeys + 8) * 4 + 16;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

// A unit is the rows (query and head, heads of one query together) of one kv head, at most 64 of them; its keys are
// divided into splits. One block per unit and split, splits of a unit side by side.
struct AttentionCudaDecode {
  int q_len, kv_len, capacity, heads, kv_heads;
  int window;              // kv_len where the case has none
  int dim;                 // 64 or 128
  int tiles;               // of 16 rows in a unit: 1, 2 or 4
  int row_blocks;          // units per kv head
  int units;               // in all
  int first_key;           // of the first split
  int splits, split_keys;  // whole tiles of 64 keys, the last one what is left
  float scale;             // times log2(e)
  const void *q, *k, *v;
  const float* sinks;  // of all heads; null: none
  float sink_factor;   // to what scale makes of scores: 1 / scale of the case
  void* y;
  // With more than one split: [units, splits, 16 tiles, dim] and, of the same rows, [.., 2] maximum and sum of weights;
  // [units] zeros, which every launch leaves as zeros.
  float *sums, *weights;
  int* arrived;
};
LAYERCOST_DEVICE_CODE int launch_attention_cuda_decode(const AttentionCudaDecode&, Stream);

// Three stages of 64 keys and values, and a flag.
constexpr int attention_cuda_decode_shared_bytes(int dim) { return 3 * 2 * 64 * dim * 2 + 16; }

}  // namespace layercost

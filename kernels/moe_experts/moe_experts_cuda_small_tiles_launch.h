// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/moe_experts/moe_experts_tiles.h"
#include "kernels/simt/launch.h"

namespace layercost {

// bf16 rows, 16-byte aligned: hidden % 8 == 0, ffn % 8 == 0. experts <= kIndexMostExperts. Less than 2^31 16-byte
// vectors in x, h and an expert's weights.
struct MoeExpertsCudaSmallTiles {
  std::int64_t tokens, hidden, ffn, experts, top_k;
  int tile_rows;                                  // pairs per tile: 8, 16 or 32
  int most_tiles;                                 // most_pair_tiles(tokens * top_k, experts, tile_rows)
  const void *x, *w_gate_up, *w_down, *residual;  // residual: null without
  const std::int32_t* ids;
  const float* weights;
  std::int32_t* order;  // [tokens * top_k]
  PairTile* tiles;      // [most_tiles]
  void* h;              // [tokens * top_k, ffn], bf16, in the order of `order`
  float* results;       // [tokens * top_k, hidden], in the order of pairs
  void* y;
  simt::Type y_type;
};
// Shared memory that a block needs for tiles of tile_rows pairs.
LAYERCOST_DEVICE_CODE int shared_bytes_moe_experts_cuda_small_tiles(int tile_rows);
LAYERCOST_DEVICE_CODE int launch_moe_experts_cuda_small_tiles(const MoeExpertsCudaSmallTiles&, Stream);

}  // namespace layercost

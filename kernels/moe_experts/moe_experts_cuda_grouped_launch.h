// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/mma_shape.h"
#include "kernels/moe_experts/moe_experts_tiles.h"
#include "kernels/simt/launch.h"

namespace layercost {

// Rows are pairs. The first fits only where a block may have 192 KB. In the second each thread copies from 8 rows; with
// slices of 64 columns it would be 16, and to hold where they begin is beyond 255 registers. The last is for experts of
// few pairs.
inline constexpr MmaShape kMoeGroupedShapes[] = {
    {128, 256, 64, 2, 4, 4, 1},
    {128, 128, 32, 2, 2, 6, 2},
    {64, 128, 64, 2, 2, 3, 3},
};
inline constexpr int kMoeGroupedShapeCount = sizeof(kMoeGroupedShapes) / sizeof(MmaShape);

// bf16 rows, 16-byte aligned: hidden % 8 == 0, ffn % 8 == 0. experts <= kIndexMostExperts. Less than 2^31 pairs, and
// less than 2^31 16-byte vectors in x, h and an expert's weights.
struct MoeExpertsCudaGrouped {
  int tokens, hidden, ffn, experts, top_k;
  int shape;                                      // index of kMoeGroupedShapes
  int most_tiles;                                 // most_pair_tiles(tokens * top_k, experts, rows of the shape)
  const void *x, *w_gate_up, *w_down, *residual;  // residual: null without
  const std::int32_t* ids;
  const float* weights;
  std::int32_t* counts;  // [blocks of the sort, kIndexMostExperts]: pairs of each expert; then their first place
  std::int32_t* order;   // [tokens * top_k]
  PairTile* tiles;       // [most_tiles]
  void* h;               // [tokens * top_k, ffn], bf16, in the order of `order`
  void* results;         // [tokens * top_k, hidden], bf16, in the order of pairs
  void* y;
  simt::Type y_type;
};
LAYERCOST_DEVICE_CODE int launch_moe_experts_cuda_grouped(const MoeExpertsCudaGrouped&, Stream);

}  // namespace layercost

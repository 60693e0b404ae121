// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/moe_experts/moe_experts_tiles.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/tensor_map.h"

namespace layercost {

inline constexpr int kMoeWgmmaTileRows = 192;

// bf16; hidden % 8 == 0, ffn % 8 == 0. experts <= kIndexMostExperts. Less than 2^31 pairs and rows of weights.
struct MoeExpertsCudaWgmma {
  TensorMap w_gate_up, w_down, h;  // as rows of hidden, ffn, ffn columns; boxes of 96 rows (h: 64) and 64 columns
  int tokens, hidden, ffn, experts, top_k;
  int most_tiles;  // most_pair_tiles(tokens * top_k, experts, kMoeWgmmaTileRows)
  int blocks;      // the device's multiprocessors
  const void *x, *residual;  // residual: null without
  const std::int32_t* ids;
  const float* weights;
  std::int32_t* counts;  // [blocks of the sort, kIndexMostExperts]
  std::int32_t* order;   // [tokens * top_k]
  PairTile* tiles;       // [most_tiles]
  void* h_rows;          // [tokens * top_k, ffn], bf16, in the order of `order`
  void* results;         // [tokens * top_k, hidden], bf16, in the order of pairs
  void* y;
  simt::Type y_type;
};
LAYERCOST_DEVICE_CODE int launch_moe_experts_cuda_wgmma(const MoeExpertsCudaWgmma&, Stream);

}  // namespace layercost

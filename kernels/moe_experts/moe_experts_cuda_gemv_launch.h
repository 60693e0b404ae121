// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

inline constexpr int kMoeGemvMostTokens = 2;  // accumulators per output row
inline constexpr int kMoeGemvMostPairs = 64;  // bits of a mask

// bf16 rows, 16-byte aligned: hidden % 8 == 0, ffn % 8 == 0.
struct MoeExpertsCudaGemv {
  std::int64_t tokens, hidden, ffn, top_k;
  const void *x, *w_gate_up, *w_down, *residual;  // residual: null without
  const std::int32_t* ids;
  const float* weights;
  void *h, *y;  // h: [tokens * top_k, ffn], bf16
  simt::Type y_type;
};
LAYERCOST_DEVICE_CODE int launch_moe_experts_cuda_gemv(const MoeExpertsCudaGemv&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct MoeRouteCudaWarps {
  std::int64_t tokens;
  int experts, top_k, groups, top_groups;
  bool renormalise, sigmoid, group_by_best;
  float scaling;
  const void* logits;
  const float *bias, *expert_scale;  // null without
  const std::int32_t* forced_ids;    // null without
  std::int32_t* ids;
  float* weights;
  std::int32_t* counts;
  simt::Type x_type;
  int blocks;
  // With more than one block: [experts] and one more zero, which every launch leaves as zeros.
  std::int32_t *sums, *arrived;
};
constexpr int kMoeRouteMostExperts = 1024, kMoeRouteMostTopK = 32, kMoeRouteMostGroups = 32;
constexpr int kMoeRouteWarps = 8, kMoeRouteBlocks = 4;  // per block; per multiprocessor, up to 256 experts
LAYERCOST_DEVICE_CODE int launch_moe_route_cuda_warps(const MoeRouteCudaWarps&, Stream);

}  // namespace layercost

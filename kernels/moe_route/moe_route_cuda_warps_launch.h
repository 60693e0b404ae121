// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct MoeRouteCudaWarps {
  std::int64_t tokens;
  int experts, top_k, groups, top_groups;
  bool renormalise, sigmoid;
  float scaling;
  const void* logits;
  const float* bias;               // null without
  const std::int32_t* forced_ids;  // null without
  std::int32_t* ids;
  float* weights;
  std::int32_t* counts;
  simt::Type x_type;
  int blocks;  // 1: the block writes the counts by itself; more: they are zeroed by a launch before, and added to
};
constexpr int kMoeRouteMostExperts = 1024, kMoeRouteMostTopK = 32, kMoeRouteMostGroups = 32;
constexpr int kMoeRouteAloneWarps = 16, kMoeRouteWarps = 8;  // per block: of the only one; of many
LAYERCOST_DEVICE_CODE int launch_moe_route_cuda_warps(const MoeRouteCudaWarps&, Stream);

}  // namespace layercost

// What:    how many of a layer's experts one step touches, as it was drawn, and as tokens that choose independently and
//          evenly would: of that the saving of a mixture of experts wears off with the batch.
// Formula: E (1 - (1 - k/E)^T) for T tokens that each choose k of E experts
// Source:  an expert is missed by one token with probability 1 - k/E, by all of them with its T-th power. Of
//          Qwen3-30B-A3B (8 of 128) eight tokens touch 51.6 experts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

double evenly_touched_experts(std::int64_t experts, std::int64_t top_k, std::int64_t tokens);

struct TouchedExperts : ScenarioRecord {
  std::string kind;  // of layer
  std::int64_t tokens = 0;  // that choose; of one of several devices that share the experts, those that reach it
  std::int64_t experts = 0, top_k = 0;
  double touched = 0;  // mean over the layer's passes
};

// One for each kind of layer with routed experts of which something was drawn.
std::vector<TouchedExperts> touched_experts(const PointRecord& point);

}  // namespace layercost

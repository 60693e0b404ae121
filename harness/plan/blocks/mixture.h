// What:    a mixture of experts: a router chooses top_k of the experts for each token; their gated MLPs, weighted, and
//          the residual are the result.
// Layer:   router -> route -> experts + residual
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/layer_builder.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct Mixture {
  std::int64_t experts = 0, top_k = 0;
  std::int64_t ffn_hidden = 0;  // width of one expert
  bool renormalise = true;      // weights of the chosen experts are divided by their sum
  // Names of the tensors below "model.layers.N.": <prefix>.gate.weight, <prefix>.experts.E.<gate>.weight, ...
  std::string prefix = "mlp", gate = "gate_proj", up = "up_proj", down = "down_proj";
};

// x [tokens, hidden]; y = residual + the experts' part, both of that shape.
void mixture(LayerBuilder&, const Mixture&, const std::string& x, const std::string& residual, const std::string& y);

// The number of experts goes by two names; which is the usual one differs between families, and between transformers 4
// and 5.
std::int64_t read_expert_count(const JsonNode& config, std::string_view usual, std::string_view other);
// num_experts_per_tok, at most `experts`.
std::int64_t read_top_k(const JsonNode& config, std::int64_t experts);

}  // namespace layercost

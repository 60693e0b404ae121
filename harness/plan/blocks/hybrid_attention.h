// What:    what Qwen's models of two kinds of attention share: most layers have the gated delta rule, every so many
//          gated grouped-query attention; norms are stored as w - 1.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "harness/plan/blocks/decoder_layer.h"

namespace layercost {

struct HybridDefaults {
  std::int64_t kv_heads = 2;   // HeadDefaults::kv_heads
  bool rows_in_turns = false;  // GatedDeltaAttention::rows_in_turns
};
// One per layer, by layer_types or full_attention_interval (4 where it is absent); the two have to agree.
std::vector<Attention> read_hybrid_attention(const JsonNode& config, const HybridDefaults&, ModelSpec&);
// A router over the softmax, and a gated shared expert: num_experts, num_experts_per_tok, moe_intermediate_size,
// shared_expert_intermediate_size.
Mixture read_gated_mixture(const JsonNode& config);
// Layers for multi-token prediction (mtp_num_hidden_layers), which have full attention: add_mtp_layers. `attention`: of
// the model's layers.
void read_mtp_layers(const JsonNode& config, const std::vector<Attention>& attention, const FeedForward&, ModelSpec&);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/hybrid_attention.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/blocks/mtp_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

constexpr const char* kLinear = "linear_attention";

// Which layers have linear attention.
std::vector<bool> read_linear_layers(const JsonNode& config, const ModelSpec& m) {
  const auto given = config.find_int("full_attention_interval", 1, kMaxLayers);
  const std::int64_t interval = given.value_or(4);
  std::vector<bool> linear;
  for (std::int64_t i = 0; i < m.layers; ++i) linear.push_back((i + 1) % interval != 0);
  const std::vector<std::string> words = read_layer_words(config, "layer_types", m.layers, {kLinear, "full_attention"});
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_linear = words[i] == kLinear;
    if (given && is_linear != linear[i])
      config.fail(fmt::format("layer_types[{}]", i),
                  fmt::format("\"{}\" contradicts full_attention_interval ({})", words[i], interval));
    linear[i] = is_linear;
  }
  return linear;
}

}  // namespace

std::vector<Attention> read_hybrid_attention(const JsonNode& config, const HybridDefaults& defaults, ModelSpec& m) {
  m.norms_from_one = true;
  const std::vector<bool> linear = read_linear_layers(config, m);
  GroupedQueryAttention full =
      read_grouped_query_attention(config, {.head_dim = 256, .kv_heads = defaults.kv_heads, .rotary_part = 0.25}, m);
  full.qkv_bias = full.o_bias = config.find_bool("attention_bias").value_or(false);
  full.qk_norm = "1", full.gate = true;
  for (const char* key : {"attn_output_gate", "use_qk_norm"})
    if (!config.find_bool(key).value_or(true))
      config.fail(key, fmt::format("model_type {} always does; expected true or no such key", m.model_type));
  GatedDeltaAttention delta;
  if (std::find(linear.begin(), linear.end(), true) != linear.end()) {
    delta = read_gated_delta_attention(config);
    delta.rows_in_turns = defaults.rows_in_turns;
  } else {
    config.find_int("linear_num_value_heads", 0, kMaxHeads);  // said of layers that there are none of
    m.notes.push_back("layer_types and full_attention_interval leave no layer with linear attention");
  }
  std::vector<Attention> out;
  for (const bool is_linear : linear) out.push_back(is_linear ? Attention(delta) : Attention(full));
  return out;
}

Mixture read_gated_mixture(const JsonNode& config) {
  Mixture e;
  e.experts = read_expert_count(config, "num_experts", "num_local_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  e.shared_ffn = config.get_int("shared_expert_intermediate_size", 1, kMaxFfn);
  e.shared = "shared_expert";
  e.shared_gate = "shared_expert_gate";
  return e;
}

void read_mtp_layers(const JsonNode& config, const std::vector<Attention>& attention, const FeedForward& feed_forward,
                     ModelSpec& m) {
  constexpr const char* kKey = "mtp_num_hidden_layers";
  const std::int64_t n = config.find_int(kKey, 0, kMaxLayers).value_or(0);
  const auto full = std::find_if(attention.begin(), attention.end(),
                                 [](const Attention& a) { return std::holds_alternative<GroupedQueryAttention>(a); });
  if (n > 0 && full == attention.end())
    config.fail(kKey, "layers for multi-token prediction have full attention, of which the model has no layer");
  if (n > 0)
    add_mtp_layers(m, kKey, n, *full, feed_forward,
                   {"mtp.pre_fc_norm_embedding", "mtp.pre_fc_norm_hidden", "mtp.fc", "mtp.norm"});
}

}  // namespace layercost

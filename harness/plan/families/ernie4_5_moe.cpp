// ernie4_5_moe: neighbours turned; experts in every moe_layer_interval-th layer from moe_layer_start_index to
// moe_layer_end_index (-1: the last), beside shared ones, chosen by the softmax plus a bias and weighted by it alone,
// renormalised. use_bias reaches attention, dense and shared MLPs, not the routed experts. Its keys for experts are its
// own: moe_num_experts, moe_k, moe_num_shared_experts.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

std::vector<bool> read_sparse_layers(const JsonNode& config, const ModelSpec& m) {
  const std::int64_t first = config.find_int("moe_layer_start_index", 0, kMaxLayers).value_or(1);
  std::int64_t last = config.find_int("moe_layer_end_index", -1, kMaxLayers).value_or(-1);
  const std::int64_t interval = config.find_int("moe_layer_interval", 1, kMaxLayers).value_or(1);
  if (last == -1) last = m.layers - 1;
  if (first > m.layers)
    config.fail("moe_layer_start_index",
                fmt::format("expected at most num_hidden_layers ({}), got {}", m.layers, first));
  if (last >= m.layers)
    config.fail("moe_layer_end_index",
                fmt::format("expected -1 or less than num_hidden_layers ({}), got {}", m.layers, last));
  std::vector<bool> sparse;
  for (std::int64_t i = 0; i < m.layers; ++i) sparse.push_back((i + 1) % interval == 0 && i >= first && i <= last);
  return sparse;
}

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 4, .rope_theta = 5e5}, m);
  a.rotary.interleaved = true;
  const bool bias = config.find_bool("use_bias").value_or(false);
  a.qkv_bias = a.o_bias = bias;
  Mixture e{.correction_bias = true};
  e.correction = "moe_statics.e_score_correction_bias", e.correction_is_row = true;
  e.experts = read_expert_count(config, "moe_num_experts", "num_experts");
  e.top_k = read_top_k(config, e.experts, "moe_k");
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  e.shared_ffn = config.find_int("moe_num_shared_experts", 0, kMaxExperts).value_or(2) * e.ffn_hidden;
  e.shared_bias = bias;
  // Weights are divided by no less than this: 1e-12 where published, which no sum of a softmax's best comes near.
  config.find_number("moe_norm_min", 0, 1e-6);
  const std::vector<bool> sparse = read_sparse_layers(config, m);
  DenseMlp mlp{.bias = bias};
  if (std::find(sparse.begin(), sparse.end(), false) != sparse.end())
    mlp.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  if (std::find(sparse.begin(), sparse.end(), true) == sparse.end())
    m.notes.push_back("moe_layer_start_index, moe_layer_end_index and moe_layer_interval leave no layer with experts");
  for (const bool is_sparse : sparse) add_decoder_layer(m, a, is_sparse ? FeedForward(e) : FeedForward(mlp));
}

}  // namespace

extern const Family ernie4_5_moe_family;
const Family ernie4_5_moe_family{.model_type = "ernie4_5_moe",
                                 .class_prefix = "Ernie4_5_Moe",
                                 .default_rms_norm_eps = 1e-5,
                                 .read = read,
                                 .tied_by_default = true};

}  // namespace layercost

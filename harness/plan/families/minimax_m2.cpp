// minimax_m2: one norm over all heads of q and one over all of k, before the first rotary_dim elements of each head are
// turned (an absent head_dim is 128). Experts in every layer: sigmoid scores, a bias beside the gate corrects the
// choice, weights always renormalised. Its checkpoints say w1, w3, w2 for gate, up, down. transformers reads none of
// use_qk_norm, qk_norm_type, use_routing_bias, scoring_func: other values than the published are refused.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void expect_true(const JsonNode& config, std::string_view key) {
  if (!config.find_bool(key).value_or(true))
    config.fail(key, "model_type minimax_m2 always does that; expected true or no such key");
}

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a =
      read_grouped_query_attention(config, {.head_dim = 128, .kv_heads = 8, .rope_theta = 5e6, .rotary_part = 1.0}, m);
  read_rotary_dim(config, a);
  a.qk_norm = "whole";
  expect_true(config, "use_qk_norm");
  expect_word(config, "qk_norm_type", {"per_layer"}, "per_layer");
  expect_layer_types(config, m, std::vector<std::int64_t>(static_cast<std::size_t>(m.layers)));
  // 0 is lightning attention, of MiniMax-Text-01.
  if (const auto kinds = config.find("attn_type_list");
      kinds && static_cast<std::int64_t>(kinds->as_int_list(1, 1).size()) != m.layers)
    kinds->fail(fmt::format("expected a list of num_hidden_layers ({}), got {}", m.layers, kinds->described()));
  Mixture e{.sigmoid = true, .correction_bias = true};
  e.prefix = "block_sparse_moe", e.gate = "w1", e.up = "w3", e.down = "w2", e.correction = "e_score_correction_bias";
  e.experts = read_expert_count(config, "num_local_experts", "num_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  expect_same_width(config, "mlp_intermediate_size", e.ffn_hidden);
  expect_word(config, "scoring_func", {"sigmoid"}, "sigmoid");
  expect_true(config, "use_routing_bias");
  for (std::int64_t i = 0; i < m.layers; ++i) add_decoder_layer(m, a, e);
  const std::int64_t modules = config.find_int("num_mtp_modules", 0, kMaxLayers).value_or(0),
                     each = config.find_int("mtp_transformer_layers", 0, kMaxLayers).value_or(1);
  if (config.find_bool("use_mtp").value_or(false) && modules * each > 0)
    m.notes.push_back(fmt::format("num_mtp_modules: {} layers for multi-token prediction left out", modules * each));
}

}  // namespace

extern const Family minimax_m2_family;
const Family minimax_m2_family{"minimax_m2", "MiniMaxM2", 1e-6, read};

}  // namespace layercost

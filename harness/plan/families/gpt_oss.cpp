// gpt_oss: a window in every other layer, the first one among them (layer_types says it), sinks in all, biases on q, k,
// v and o (attention_bias), on the router and on the experts, whose activation is clamped at swiglu_limit. Weights are
// the softmax of the chosen logits: what renormalised ones are. Its checkpoints hold all experts in one tensor, gate
// and up in turns. experts_per_token is a second name that transformers does not read.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

std::vector<std::int64_t> read_windows(const JsonNode& config, ModelSpec& m) {
  const std::int64_t window =
      config.has("sliding_window") ? config.find_int("sliding_window", 1, kMaxPositions).value_or(0) : 128;
  if (!config.find("layer_types"))
    m.notes.push_back("layer_types is absent: every other layer has a window as transformers takes it");
  return read_typed_windows(config, m, window, [](std::int64_t i) { return i % 2 == 0; });
}

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a =
      read_grouped_query_attention(config, {.head_dim = 64, .kv_heads = 8, .rope_theta = 1.5e5}, m);
  // An empty rope_scaling counts as absent there, an empty rope_parameters as plain rope.
  const auto scaling = config.find("rope_scaling");
  if ((!scaling || scaling->keys().empty()) && !config.find("rope_parameters")) {
    a.rotary.kind = RotarySpec::Kind::yarn;
    a.rotary.factor = 32, a.rotary.truncate = false;
    a.rotary.original_max_position =
        config.find_int("original_max_position_embeddings", 1, kMaxPositions).value_or(4096);
    m.notes.push_back(fmt::format("rope_scaling is absent: yarn of 32 times {} positions as transformers takes it",
                                  a.rotary.original_max_position));
    a.rotary.table_scale = 0.1 * std::log(32.0) + 1;
  }
  config.find_int("initial_context_length", 1, kMaxPositions);  // for its type: transformers does not read it
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(true);
  a.sinks = true;
  Mixture e{.router_bias = true, .expert_biases = true};
  e.router = "router";
  e.experts = read_expert_count(config, "num_local_experts", "num_experts");
  const std::int64_t chosen = read_expert_count(config, "num_experts_per_tok", "experts_per_token");
  if (chosen > e.experts)
    config.fail("num_experts_per_tok", fmt::format("chooses {} of {} experts", chosen, e.experts));
  e.top_k = chosen;
  e.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  expect_same_width(config, "mlp_intermediate_size", e.ffn_hidden);
  e.limit = config.find_number("swiglu_limit", 1e-3, 1e6).value_or(7.0);
  if (const double alpha = config.find_number("swiglu_alpha", 0, 1e6).value_or(1.702); alpha != 1.702)
    config.fail("swiglu_alpha", fmt::format("expected 1.702, got {:g}", alpha));
  add_decoder_layers(m, a, e, read_windows(config, m));
}

}  // namespace

extern const Family gpt_oss_family;
const Family gpt_oss_family{"gpt_oss", "GptOss", 1e-5, read};

}  // namespace layercost

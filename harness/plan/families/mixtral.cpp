// mixtral: experts in every layer, a window in every layer if one is given, weights always renormalised, no biases.
// Its checkpoints say w1, w3, w2 for gate, up, down.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 8, .rope_theta = 1e6}, m);
  a.window = config.find_int("sliding_window", 1, kMaxPositions).value_or(0);
  expect_layer_types(config, m, std::vector<std::int64_t>(static_cast<std::size_t>(m.layers), a.window));
  Mixture e{.prefix = "block_sparse_moe", .gate = "w1", .up = "w3", .down = "w2"};
  e.experts = read_expert_count(config, "num_local_experts", "num_experts");
  e.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  e.top_k = read_top_k(config, e.experts);
  for (std::int64_t i = 0; i < m.layers; ++i) add_decoder_layer(m, a, e);
}

}  // namespace

extern const Family mixtral_family;
const Family mixtral_family{"mixtral", "Mixtral", 1e-5, read};

}  // namespace layercost

// qwen3_moe: experts in every decoder_sparse_step-th layer that mlp_only_layers does not name, dense elsewhere; weights
// are renormalised only with norm_topk_prob. The window, if switched on, reaches every layer: max_window_layers is not
// read. transformers 5 writes num_local_experts where 4 wrote num_experts.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 4, .rope_theta = 1e4}, m);
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(false);
  a.qk_norm = "1";
  if (!config.find_bool("use_qk_norm").value_or(true))
    config.fail("use_qk_norm", "model_type qwen3_moe always norms q and k; expected true or no such key");
  a.window = read_switched_window(config, m);
  expect_layer_types(config, m, std::vector<std::int64_t>(static_cast<std::size_t>(m.layers), a.window));

  Mixture e;
  e.experts = read_expert_count(config, "num_experts", "num_local_experts");
  e.renormalise = config.find_bool("norm_topk_prob").value_or(false);
  const std::vector<bool> sparse = read_stepped_layers(config, m);
  if (config.find_int("shared_expert_intermediate_size", 0, kMaxFfn).value_or(0) > 0) {
    config.fail("shared_expert_intermediate_size",
                "model_type qwen3_moe has no shared expert; expected 0 or no such key");
  }
  DenseMlp mlp;
  if (std::find(sparse.begin(), sparse.end(), false) != sparse.end())
    mlp.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  if (std::find(sparse.begin(), sparse.end(), true) == sparse.end())
    m.notes.push_back("decoder_sparse_step and mlp_only_layers leave no layer with experts");
  for (const bool is_sparse : sparse) add_decoder_layer(m, a, is_sparse ? FeedForward(e) : FeedForward(mlp));
}

}  // namespace

extern const Family qwen3_moe_family;
const Family qwen3_moe_family{"qwen3_moe", "Qwen3Moe", 1e-6, read};

}  // namespace layercost

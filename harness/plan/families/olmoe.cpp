// olmoe: experts in every layer, of intermediate_size; one norm over all heads of q and one over all of k, before they
// are turned, so that heads times head_dim is hidden_size. Weights are renormalised only with norm_topk_prob. clip_qkv,
// which the published models leave null, is refused.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.rope_theta = 1e4}, m);
  if (a.heads * a.head_dim != m.hidden)
    config.fail("head_dim", fmt::format("the norm of all heads has hidden_size ({}) weights; expected "
                                        "num_attention_heads ({}) heads of {:g}, got {}",
                                        m.hidden, a.heads, static_cast<double>(m.hidden) / static_cast<double>(a.heads),
                                        a.head_dim));
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(false);
  a.qk_norm = "whole";
  if (!config.find_bool("use_qk_norm").value_or(true))
    config.fail("use_qk_norm", "model_type olmoe always norms q and k; expected true or no such key");
  expect_layer_types(config, m, std::vector<std::int64_t>(static_cast<std::size_t>(m.layers)));
  Mixture e;
  e.experts = read_expert_count(config, "num_experts", "num_local_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  e.renormalise = config.find_bool("norm_topk_prob").value_or(false);
  for (std::int64_t i = 0; i < m.layers; ++i) add_decoder_layer(m, a, e);
}

}  // namespace

extern const Family olmoe_family;
const Family olmoe_family{"olmoe", "Olmoe", 1e-5, read};

}  // namespace layercost

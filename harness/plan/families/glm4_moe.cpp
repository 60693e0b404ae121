// glm4_moe: grouped-query attention that turns the first half of each head (partial_rotary_factor), with biases on q, k
// and v (attention_bias; never on o) and norms of q and k per head (use_qk_norm: GLM-4.5 has them, Air has not); then
// deepseek_v3's dense layers, router and shared experts.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 8, .rotary_part = 0.5}, m);
  a.qkv_bias = config.find_bool("attention_bias").value_or(false);
  if (config.find_bool("use_qk_norm").value_or(false)) a.qk_norm = "1";
  const Mixture e = read_biased_mixture(config, {.groups = {1, 1}, .scaling = 1.0});
  add_dense_then_experts(config, 1, a, false, e, m);
}

}  // namespace

extern const Family glm4_moe_family;
const Family glm4_moe_family{"glm4_moe", "Glm4Moe", 1e-5, read};

}  // namespace layercost

// hunyuan_v1_moe: heads of q and k are turned first and normed then. Experts in every layer, always renormalised,
// beside one shared MLP of their width; both have intermediate_size. Keys that transformers does not read
// (moe_intermediate_size, num_shared_expert, use_mixed_mlp_moe, use_qk_norm, use_cla) may say nothing else. moe_topk,
// num_experts and those may be lists of one number for each layer.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

// A number, or a list that says the same for every layer.
std::optional<std::int64_t> find_same(const JsonNode& config, const char* key, std::int64_t low, std::int64_t high,
                                      const ModelSpec& m) {
  const auto node = config.find(key);
  if (!node) return std::nullopt;
  if (!node->is_list()) return node->as_int(low, high);
  const std::vector<std::int64_t> all = node->as_int_list(low, high);
  if (static_cast<std::int64_t>(all.size()) != m.layers)
    node->fail(fmt::format("expected a number or one for each of num_hidden_layers ({}), got {}", m.layers,
                           node->described()));
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i] != all[0])
      config.fail(
          fmt::format("{}[{}]", key, i),
          fmt::format("layers that differ are not supported yet; expected {} as in the first, got {}", all[0], all[i]));
  return all[0];
}

void expect(const JsonNode& config, std::string_view key, bool value, const char* why) {
  if (config.find_bool(key).value_or(value) != value)
    config.fail(key, fmt::format("model_type hunyuan_v1_moe {}; expected {} or no such key", why, value));
}

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.rope_theta = 1e4}, m);
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(false);
  a.qk_norm = "after", a.q_norm = "query_layernorm", a.k_norm = "key_layernorm";
  expect(config, "use_qk_norm", true, "always norms q and k");
  expect(config, "use_cla", false, "has keys and values in every layer");
  expect(config, "use_mixed_mlp_moe", true, "always has a shared expert");
  expect_layer_types(config, m, std::vector<std::int64_t>(static_cast<std::size_t>(m.layers)));

  Mixture e;
  e.router = "gate.wg", e.shared = "shared_mlp";
  const auto experts = find_same(config, "num_experts", 1, kMaxExperts, m);
  e.experts = experts ? *experts : read_expert_count(config, "num_experts", "num_local_experts");
  const auto chosen = find_same(config, "moe_topk", 1, kMaxExperts, m);
  e.top_k = chosen ? *chosen : read_top_k(config, e.experts, "moe_topk");
  if (const auto other = find_same(config, "num_experts_per_tok", 1, kMaxExperts, m); other && *other != e.top_k)
    config.fail("num_experts_per_tok", fmt::format("is {}, moe_topk {}; expected the same", *other, e.top_k));
  if (e.top_k > e.experts) config.fail("moe_topk", fmt::format("chooses {} of {} experts", e.top_k, e.experts));
  e.ffn_hidden = e.shared_ffn = config.get_int("intermediate_size", 1, kMaxFfn);
  const std::int64_t width = find_same(config, "moe_intermediate_size", 1, kMaxFfn, m).value_or(e.ffn_hidden);
  if (width != e.ffn_hidden)
    config.fail(
        "moe_intermediate_size",
        fmt::format("{} contradicts intermediate_size ({}), which experts have in transformers", width, e.ffn_hidden));
  if (const std::int64_t shared = find_same(config, "num_shared_expert", 0, kMaxExperts, m).value_or(1); shared != 1)
    config.fail("num_shared_expert", fmt::format("transformers always has one; expected 1, got {}", shared));
  for (std::int64_t i = 0; i < m.layers; ++i) add_decoder_layer(m, a, e);
}

}  // namespace

extern const Family hunyuan_v1_moe_family;
const Family hunyuan_v1_moe_family{"hunyuan_v1_moe", "HunYuanMoEV1", 1e-5, read};

}  // namespace layercost

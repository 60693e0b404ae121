// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/layer_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <charconv>

namespace layercost {
namespace {

constexpr std::array kKeys = {
    LayerKey{"attention_bias", "false", "biases of attention"},
    LayerKey{"use_qkv_bias", "false", "biases of attention"},
    LayerKey{"qkv_bias", "false", "biases of attention"},
    LayerKey{"attention_out_bias", "false", "a bias behind attention"},
    LayerKey{"mlp_bias", "false", "biases of the MLP"},
    LayerKey{"use_bias", "false", "biases"},
    LayerKey{"use_qk_norm", "false", "norms of q and k"},
    LayerKey{"qk_layernorm", "false", "norms of q and k"},
    LayerKey{"sliding_window", "", "windows of attention", "use_sliding_window"},
    LayerKey{"attention_chunk_size", "", "chunks of attention"},
    LayerKey{"llama_4_scaling_beta", "0", "a temperature of queries"},
    LayerKey{"attn_temperature_tuning", "false", "a temperature of queries"},
    LayerKey{"global_head_dim", "", "another size of heads in layers that see all"},
    LayerKey{"per_layer_config", "[]", "sizes that differ between layers"},
    LayerKey{"attention_k_eq_v", "false", "keys that are values, too"},
    LayerKey{"num_kv_shared_layers", "0", "layers that share keys and values"},
    LayerKey{"hidden_size_per_layer_input", "0", "an embedding of each layer's own"},
    LayerKey{"enable_moe_block", "false", "experts beside the MLP"},
    LayerKey{"moe_layers", "[]", "experts"},
    LayerKey{"intermediate_size_mlp", "", "another width of dense layers"},
    LayerKey{"attn_logit_softcapping", "", "attention scores through tanh"},
    LayerKey{"final_logit_softcapping", "", "logits through tanh"},
    LayerKey{"query_pre_attn_scalar", "", "another scale of attention scores"},
    LayerKey{"attention_multiplier", "", "another scale of attention scores"},
    LayerKey{"residual_multiplier", "1", "a factor of what a layer adds"},
    LayerKey{"clip_qkv", "", "clipped q, k and v"},
    LayerKey{"alibi", "false", "positions by a bias of attention scores"},
    LayerKey{"attn_output_gate", "false", "a gate behind attention"},
    LayerKey{"partial_rotary_factor", "1", "rotates a part of each head"},
    LayerKey{"rotary_pct", "1", "rotates a part of each head"},
    LayerKey{"no_rope_layers", "[]", "layers without rotation"},
    LayerKey{"q_lora_rank", "0", "latent attention"},
    LayerKey{"kv_lora_rank", "0", "latent attention"},
    LayerKey{"qk_rope_head_dim", "0", "latent attention"},
    LayerKey{"qk_nope_head_dim", "0", "latent attention"},
    LayerKey{"index_topk", "0", "sparse attention"},
    LayerKey{"indexer_types", "[]", "layers that share a selection of keys"},
    LayerKey{"index_topk_freq", "0 1", "layers that share a selection of keys"},
    LayerKey{"index_topk_pattern", "", "layers that share a selection of keys"},
    LayerKey{"use_mla", "false", "latent attention"},
    LayerKey{"use_cla", "false", "layers that share keys and values"},
    LayerKey{"rope_local_base_freq", "", "another rotation in layers with a window"},
    LayerKey{"swa_rope_theta", "", "another rotation in layers with a window"},
    LayerKey{"postnorm", "false", "norms behind a layer's blocks"},
    LayerKey{"layernorm_full_attention_alpha", "1", "a factor of the residual"},
    LayerKey{"layernorm_full_attention_beta", "1", "a factor of what a layer adds"},
    LayerKey{"layernorm_linear_attention_alpha", "1", "a factor of the residual"},
    LayerKey{"layernorm_linear_attention_beta", "1", "a factor of what a layer adds"},
    LayerKey{"layernorm_mlp_alpha", "1", "a factor of the residual"},
    LayerKey{"layernorm_mlp_beta", "1", "a factor of what a layer adds"},
    LayerKey{"full_attn_alpha_factor", "1", "a factor of the residual"},
    LayerKey{"full_attn_beta_factor", "1", "a factor of what a layer adds"},
    LayerKey{"linear_attn_alpha_factor", "1", "a factor of the residual"},
    LayerKey{"linear_attn_beta_factor", "1", "a factor of what a layer adds"},
    LayerKey{"mlp_alpha_factor", "1", "a factor of the residual"},
    LayerKey{"mlp_beta_factor", "1", "a factor of what a layer adds"},
    LayerKey{"cross_attention_layers", "[]", "layers that attend to pictures"},
    LayerKey{"linear_num_value_heads", "0", "layers of linear attention"},
    LayerKey{"parallel_attn", "false", "attention beside the MLP"},
    LayerKey{"use_parallel_residual", "false", "attention beside the MLP"},
    LayerKey{"hidden_activation", "silu swish", "another activation"},
    LayerKey{"swiglu_limit", "", "a clipped activation"},
    LayerKey{"num_experts", "0 1", "experts"},
    LayerKey{"num_local_experts", "0 1", "experts"},
    LayerKey{"n_routed_experts", "0 1", "experts"},
    LayerKey{"moe_num_experts", "0 1 []", "experts"},
    LayerKey{"n_shared_experts", "0", "shared experts"},
    LayerKey{"num_shared_experts", "0", "shared experts"},
    LayerKey{"num_shared_expert", "0", "shared experts"},
    LayerKey{"shared_expert_intermediate_size", "0", "a shared expert"},
    LayerKey{"shared_intermediate_size", "0", "a shared expert"},
    LayerKey{"first_k_dense_replace", "0", "dense layers before those with experts"},
    LayerKey{"moe_layer_num_skipped", "0", "dense layers before those with experts"},
    LayerKey{"mlp_only_layers", "[]", "dense layers between those with experts"},
    LayerKey{"decoder_sparse_step", "1", "dense layers between those with experts"},
    LayerKey{"moe_layer_freq", "1", "dense layers between those with experts"},
    LayerKey{"interleave_moe_layer_step", "0 1", "dense layers between those with experts"},
    LayerKey{"scoring_func", "softmax", "another score of the router"},
    LayerKey{"routed_scaling_factor", "1", "a factor of the experts' part"},
    LayerKey{"n_group", "0 1", "experts in groups"},
};

bool has_value(const JsonNode& node, std::string_view word) {
  if (word == "[]") return (node.is_list() && node.as_list().empty()) || (node.is_object() && node.size() == 0);
  if (word == "false") return node.is_bool() && !node.as_bool();
  if (node.is_string()) return node.as_string(64) == word;
  double number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return node.is_number() && error == std::errc() && end == word.data() + word.size() &&
         node.as_number(-DBL_MAX, DBL_MAX) == number;
}

bool is_neutral(const JsonNode& node, std::string_view words) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (has_value(node, words.substr(0, end))) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

}  // namespace

std::span<const LayerKey> layer_keys() { return kKeys; }

void refuse_unread_layer_keys(const JsonNode& text, std::string_view model_type) {
  for (const LayerKey& row : kKeys) {
    if (text.was_asked_for(row.key)) continue;
    const auto node = text.find(row.key);
    if (!node || is_neutral(*node, row.neutral)) continue;
    if (!row.unless_false.empty() && !text.find_bool(row.unless_false).value_or(true)) continue;
    std::string expected;  // "0, 1, "
    for (const char c : row.neutral) expected += c == ' ' ? std::string(", ") : std::string(1, c);
    if (!expected.empty()) expected += ", ";
    node->fail(
        fmt::format("{} changes what a layer computes ({}), and model_type {} does not read it; expected {}null or "
                    "no such key",
                    node->described(), row.meaning, model_type, expected));
  }
}

}  // namespace layercost

// gemma4: five layers with a window, then one that sees all, with wider heads (global_head_dim), another number of key
// heads (num_global_key_value_heads) and, with attention_k_eq_v, values that are the keys before their norm. Norms of
// q, k and of values, which have no weights; scores are not scaled. Rotations are given by kind of layer; the one of
// layers that see all turns the first pairs of a head only, as fast as if it turned all ("proportional"). Norms before
// and behind each block; with enable_moe_block experts beside the MLP in every layer. What the small models have beside
// (an embedding per layer, keys and values shared between layers) is refused. Files that transformers 5.23 has resaved
// say per_layer_config instead of the two keys of layers that see all.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>
#include <tuple>
#include <utility>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/blocks/normed_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

constexpr const char *kSliding = "sliding_attention", *kFull = "full_attention";

RotarySpec read_rotation(const JsonNode& config, const char* kind, std::int64_t head_dim) {
  const bool full = std::string_view(kind) == kFull;
  RotarySpec rope{.dims = head_dim, .theta = full ? 1e6 : 1e4};
  double part = full ? 0.25 : 1.0;
  if (const auto all = config.find("rope_parameters")) {
    const JsonNode given = all->at(kind);
    rope.theta = given.get_number("rope_theta", 1.0, 1e15);
    part = given.find_number("partial_rotary_factor", 0.0, 1.0).value_or(1.0);
    const std::string type = expect_word(given, "rope_type", {"default", "proportional"}, "default");
    if (type == "default" && part != 1)
      given.fail("partial_rotary_factor",
                 fmt::format("rope type \"default\" turns whole heads; expected 1, got {:g}", part));
    if (const double factor = given.find_number("factor", 1.0, 1e6).value_or(1.0); factor != 1) {
      if (type == "default")
        given.fail("factor", fmt::format("rope type \"default\" has none; expected 1, got {:g}", factor));
      rope.kind = RotarySpec::Kind::linear, rope.factor = factor;
    }
  }
  rope.turned_pairs = static_cast<std::int64_t>(part * static_cast<double>(head_dim) / 2);
  if (rope.turned_pairs < 1)
    config.fail("rope_parameters", fmt::format("{:g} of head_dim {} turns no pair", part, head_dim));
  return rope;
}

// The last layer always sees all.
std::vector<bool> read_full_layers(const JsonNode& config, const ModelSpec& m) {
  const std::vector<std::string> words = read_layer_words(config, "layer_types", m.layers, {kSliding, kFull});
  std::vector<bool> full;
  for (std::int64_t i = 0; i < m.layers; ++i)
    full.push_back(words.empty() ? (i + 1) % 6 == 0 : words[static_cast<std::size_t>(i)] == kFull);
  if (!words.empty() && !full.back())
    config.fail(fmt::format("layer_types[{}]", m.layers - 1),
                fmt::format("transformers makes the last layer one that sees all; expected \"{}\"", kFull));
  full.back() = true;
  return full;
}

// Of the layers that see all. per_layer_config names each of them and has to say the same of all.
void read_full_heads(const JsonNode& config, const std::vector<bool>& full, GroupedQueryAttention& a) {
  const bool shared = config.find_bool("attention_k_eq_v").value_or(false);
  a.head_dim = config.find_int("global_head_dim", 2, kMaxHeadDim).value_or(512);
  const auto kv_heads = config.find_int("num_global_key_value_heads", 1, kMaxHeads);
  if (shared && kv_heads) a.kv_heads = *kv_heads;
  if (const auto layers = config.find("per_layer_config")) {
    std::optional<std::pair<std::int64_t, std::int64_t>> first;
    for (std::size_t i = 0; i < full.size(); ++i) {
      const std::string number = std::to_string(i);
      const auto layer = layers->find(number);
      if (layer.has_value() != full[i])
        layers->fail(number, "expected sizes of every layer that sees all, and of no other");
      if (!layer) continue;
      for (const std::string& key : layer->keys())
        if (key != "head_dim" && key != "num_key_value_heads")
          layer->fail(key, "of a layer's own is not supported yet; expected head_dim and num_key_value_heads");
      const std::pair sizes{layer->find_int("head_dim", 2, kMaxHeadDim).value_or(a.head_dim),
                            layer->find_int("num_key_value_heads", 1, kMaxHeads).value_or(a.kv_heads)};
      if (first && *first != sizes)
        layers->fail(number, "layers that see all and differ among themselves are not supported yet");
      first = sizes;
    }
    if (first) std::tie(a.head_dim, a.kv_heads) = *first;
  }
  if (a.head_dim % 2 != 0)
    config.fail("global_head_dim", fmt::format("expected an even number (rope turns pairs), got {}", a.head_dim));
  if (a.heads % a.kv_heads != 0)
    config.fail("num_global_key_value_heads",
                fmt::format("num_attention_heads ({}) is not a multiple of it ({})", a.heads, a.kv_heads));
  a.v_from_k = shared;
}

void refuse_small_models(const JsonNode& config) {
  // An absent key is 256 there.
  if (const std::int64_t n = config.find_int("hidden_size_per_layer_input", 0, kMaxHidden).value_or(256); n != 0)
    config.fail("hidden_size_per_layer_input",
                fmt::format("an embedding of each layer's own ({} wide; 256 where the key is absent) is not supported "
                            "yet; expected 0",
                            n));
  if (const std::int64_t n = config.find_int("num_kv_shared_layers", 0, kMaxLayers).value_or(0); n != 0)
    config.fail("num_kv_shared_layers",
                fmt::format("layers that share keys and values are not supported yet; expected 0, got {}", n));
}

Mixture read_experts(const JsonNode& config) {
  Mixture e{.expert_scale = "router.per_expert_scale", .act = "gelu_tanh"};
  e.prefix = "", e.router = "router.proj";
  e.experts = read_expert_count(config, "num_experts", "num_local_experts");
  e.top_k = read_top_k(config, e.experts, "top_k_experts");
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  return e;
}

void read(const JsonNode& config, ModelSpec& m) {
  refuse_small_models(config);
  expect_word(config, "hidden_activation", {"gelu_pytorch_tanh"}, "gelu_pytorch_tanh");
  NormedLayer sliding;
  GroupedQueryAttention& a = sliding.attention;
  a.heads = config.get_int("num_attention_heads", 1, kMaxHeads);
  a.kv_heads = config.get_int("num_key_value_heads", 1, kMaxHeads);
  if (a.heads % a.kv_heads != 0)
    config.fail("num_key_value_heads",
                fmt::format("num_attention_heads ({}) is not a multiple of it ({})", a.heads, a.kv_heads));
  a.head_dim = config.get_int("head_dim", 2, kMaxHeadDim);
  if (a.head_dim % 2 != 0)
    config.fail("head_dim", fmt::format("expected an even number (rope turns pairs), got {}", a.head_dim));
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(false);
  a.qk_norm = "1", a.v_norm = true, a.scale = 1.0;
  a.window = config.get_int("sliding_window", 1, kMaxPositions);
  sliding.mlp = {.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn), .act = "gelu_tanh"};
  if (config.find_bool("enable_moe_block").value_or(false)) sliding.experts = read_experts(config);
  else config.find_int("num_experts", 0, kMaxExperts);  // said of a block that there is none of

  const std::vector<bool> full = read_full_layers(config, m);
  NormedLayer wide = sliding;
  wide.attention.window = 0;
  read_full_heads(config, full, wide.attention);
  a.rotary = read_rotation(config, kSliding, a.head_dim);
  wide.attention.rotary = read_rotation(config, kFull, wide.attention.head_dim);
  if (const auto cap = config.find_number("final_logit_softcapping", 1e-3, 1e6))
    m.notes.push_back(fmt::format(
        "final_logit_softcapping: the tanh of logits ({:g}) behind the LM head's product is left out", *cap));
  for (const bool sees_all : full) {
    const NormedLayer& layer = sees_all ? wide : sliding;
    const FeedForward feed_forward = layer.experts ? FeedForward(*layer.experts) : FeedForward(layer.mlp);
    m.add_layer(kind_name(layer.attention, feed_forward), [layer](LayerBuilder& b) { normed_layer(b, layer); });
  }
}

}  // namespace

extern const Family gemma4_family;
constexpr std::string_view kSame[] = {"gemma4_text"};
const Family gemma4_family{.model_type = "gemma4",
                           .class_prefix = "Gemma4",
                           .default_rms_norm_eps = 1e-6,
                           .read = read,
                           .aliases = kSame,
                           .tied_by_default = true};

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"

#include <fmt/format.h>

#include "harness/plan/blocks/mtp_layer.h"
#include "harness/plan/family.h"

namespace layercost {

void decoder_layer(LayerBuilder& b, const Attention& attention, const FeedForward& feed_forward) {
  const std::int64_t h = b.model().hidden;
  const std::string input = b.activation("input", h, BufferRole::input);
  decoder_layer_between(b, attention, feed_forward, input, "");
}

void decoder_layer_between(LayerBuilder& b, const Attention& attention, const FeedForward& feed_forward,
                           const std::string& input, const std::string& output_name) {
  const std::int64_t h = b.model().hidden;
  const std::string normed = b.activation("normed", h);
  b.rms_norm("attention norm", input, b.norm_weight("attention_norm", h, "input_layernorm.weight"), normed, h);
  std::string projected;
  if (const auto* grouped = std::get_if<GroupedQueryAttention>(&attention))
    projected = grouped_query_attention(b, *grouped, normed);
  else if (const auto* latent = std::get_if<LatentAttention>(&attention))
    projected = latent_attention(b, *latent, normed);
  else projected = gated_delta_attention(b, std::get<GatedDeltaAttention>(attention), normed);
  const std::string middle = b.activation("middle", h);
  const std::string output = output_name.empty() ? b.activation("output", h, BufferRole::output) : output_name;
  b.rms_norm("mlp norm", projected, b.norm_weight("mlp_norm", h, "post_attention_layernorm.weight"), normed, h, input,
             middle);
  const std::string residual = b.is_first_rank() ? middle : "";
  if (const auto* dense = std::get_if<DenseMlp>(&feed_forward)) dense_mlp(b, *dense, normed, residual, output);
  else mixture(b, std::get<Mixture>(feed_forward), normed, residual, output);
}

std::string kind_name(const Attention& attention, const FeedForward& feed_forward) {
  std::string name = std::holds_alternative<Mixture>(feed_forward) ? "moe" : "dense";
  const auto* grouped = std::get_if<GroupedQueryAttention>(&attention);
  if (grouped != nullptr) {
    if (grouped->window > 0) name += fmt::format(" window={}", grouped->window);
    if (grouped->chunk > 0) name += fmt::format(" chunk={}", grouped->chunk);
    if (grouped->rotary.kind == RotarySpec::Kind::none) name += " unrotated";
  }
  if (std::holds_alternative<GatedDeltaAttention>(attention)) name += " linear";
  const auto* latent = std::get_if<LatentAttention>(&attention);
  if (latent != nullptr && latent->indexer.shared) name += " shared selection";
  return name;
}

void add_decoder_layer(ModelSpec& m, const Attention& attention, const FeedForward& feed_forward) {
  m.add_layer(
      kind_name(attention, feed_forward), [=](LayerBuilder& b) { decoder_layer(b, attention, feed_forward); },
      std::make_shared<const DecoderBlocks>(DecoderBlocks{attention, feed_forward}));
}

void add_dense_then_experts(const JsonNode& config, std::int64_t absent, const Attention& attention, bool mlp_bias,
                            const Mixture& experts, ModelSpec& m) {
  const std::vector<Attention> same(static_cast<std::size_t>(m.layers), attention);
  add_dense_then_experts(config, absent, same, mlp_bias, experts, m);
}

void add_dense_then_experts(const JsonNode& config, std::int64_t absent, const std::vector<Attention>& attentions,
                            bool mlp_bias, const Mixture& experts, ModelSpec& m) {
  constexpr const char* kKey = "first_k_dense_replace";
  const std::int64_t dense = config.find_int(kKey, 0, kMaxLayers).value_or(absent);
  if (dense > m.layers)
    config.fail(kKey, fmt::format("expected at most num_hidden_layers ({}), got {}", m.layers, dense));
  if (config.find_int("moe_layer_freq", 1, kMaxLayers).value_or(1) != 1)
    config.fail("moe_layer_freq", fmt::format("expected 1 (every layer from {} on has experts), got {}", kKey,
                                              config.get_int("moe_layer_freq", 1, kMaxLayers)));
  const std::vector<std::string> words = read_layer_words(config, "mlp_layer_types", m.layers, {"dense", "sparse"});
  for (std::size_t i = 0; i < words.size(); ++i)
    if ((words[i] == "dense") != (static_cast<std::int64_t>(i) < dense))
      config.fail(fmt::format("mlp_layer_types[{}]", i),
                  fmt::format("\"{}\" contradicts {} ({})", words[i], kKey, dense));
  DenseMlp mlp{.bias = mlp_bias};
  if (dense > 0) mlp.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  if (dense == m.layers) m.notes.push_back(fmt::format("{} leaves no layer with experts", kKey));
  for (std::int64_t i = 0; i < m.layers; ++i)
    add_decoder_layer(m, attentions[static_cast<std::size_t>(i)], i < dense ? FeedForward(mlp) : FeedForward(experts));
  for (const char* key : {"num_nextn_predict_layers", "num_mtp_layers"})
    if (const auto n = config.find_int(key, 0, kMaxLayers); n && *n > 0) {
      add_mtp_layers(m, key, *n, attentions.front(), dense == m.layers ? FeedForward(mlp) : FeedForward(experts));
      break;
    }
}

void add_decoder_layers(ModelSpec& m, GroupedQueryAttention attention, const FeedForward& feed_forward,
                        const std::vector<std::int64_t>& windows) {
  for (const std::int64_t window : windows) {
    attention.window = window;
    add_decoder_layer(m, attention, feed_forward);
  }
}

}  // namespace layercost

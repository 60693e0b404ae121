// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"

#include <fmt/format.h>

namespace layercost {

void decoder_layer(LayerBuilder& b, const GroupedQueryAttention& attention, const FeedForward& feed_forward) {
  const std::int64_t h = b.model().hidden;
  const std::string input = b.activation("input", h, BufferRole::input), normed = b.activation("normed", h);
  b.rms_norm("attention norm", input, b.norm_weight("attention_norm", h, "input_layernorm.weight"), normed, h);
  const std::string projected = grouped_query_attention(b, attention, normed);
  const std::string middle = b.activation("middle", h), output = b.activation("output", h, BufferRole::output);
  b.rms_norm("mlp norm", projected, b.norm_weight("mlp_norm", h, "post_attention_layernorm.weight"), normed, h, input,
             middle);
  if (const auto* dense = std::get_if<DenseMlp>(&feed_forward)) dense_mlp(b, *dense, normed, middle, output);
  else mixture(b, std::get<Mixture>(feed_forward), normed, middle, output);
}

std::string kind_name(const GroupedQueryAttention& attention, const FeedForward& feed_forward) {
  std::string name = std::holds_alternative<Mixture>(feed_forward) ? "moe" : "dense";
  if (attention.window > 0) name += fmt::format(" window={}", attention.window);
  return name;
}

void add_decoder_layer(ModelSpec& m, const GroupedQueryAttention& attention, const FeedForward& feed_forward) {
  m.add_layer(kind_name(attention, feed_forward), [=](LayerBuilder& b) { decoder_layer(b, attention, feed_forward); });
}

void add_decoder_layers(ModelSpec& m, GroupedQueryAttention attention, const FeedForward& feed_forward,
                        const std::vector<std::int64_t>& windows) {
  for (const std::int64_t window : windows) {
    attention.window = window;
    add_decoder_layer(m, attention, feed_forward);
  }
}

}  // namespace layercost

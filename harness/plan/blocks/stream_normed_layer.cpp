// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/stream_normed_layer.h"

namespace layercost {

void stream_normed_layer(LayerBuilder& b, const StreamNormedLayer& l) {
  const std::int64_t h = b.model().hidden;
  const std::string input = b.activation("input", h, BufferRole::input), normed = b.activation("normed", h);
  b.rms_norm("attention norm", input, b.norm_weight("attention_norm", h, "input_layernorm.weight"), normed, h);
  std::string projected;
  if (const auto* grouped = std::get_if<GroupedQueryAttention>(&l.attention))
    projected = grouped_query_attention(b, *grouped, normed);
  else projected = lightning_attention(b, std::get<LightningAttention>(l.attention), normed);
  const std::string middle = b.activation("middle", h), stream = b.activation("stream", h);
  b.rms_norm_of_stream("mlp norm", projected, normed, b.norm_weight("mlp_norm", h, "post_attention_layernorm.weight"),
                       middle, stream, h, {.x_times = l.beta, .residual_times = l.alpha, .y_times = l.mlp_alpha});
  mixture(b, l.experts, middle, stream, b.activation("output", h, BufferRole::output));
}

}  // namespace layercost

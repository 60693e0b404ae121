// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/normed_layer.h"

#include <cmath>

namespace layercost {

void normed_layer(LayerBuilder& b, const NormedLayer& l) {
  const std::int64_t h = b.model().hidden;
  const auto norm = [&](const std::string& component, const std::string& x, const std::string& tensor,
                        const std::string& y, const std::string& addend = {}, const std::string& scale = {}) {
    b.rms_norm(component, x, b.norm_weight(component + " weight", h, tensor + ".weight"), y, h, {}, {}, {}, addend,
               scale);
  };
  const std::string input = b.activation("input", h, BufferRole::input), normed = b.activation("normed", h);
  norm("attention norm", input, "input_layernorm", normed);
  const std::string projected = grouped_query_attention(b, l.attention, normed);
  const std::string middle = b.activation("middle", h), output = b.activation("output", h, BufferRole::output);
  norm("norm behind attention", projected, "post_attention_layernorm", middle, input);
  norm("mlp norm", middle, "pre_feedforward_layernorm", normed);
  const std::string of_mlp = b.activation("of the mlp", h);
  dense_mlp(b, l.mlp, normed, {}, of_mlp);
  std::string last = of_mlp;
  if (l.experts) {
    const std::string first = b.activation("normed mlp", h), of_experts = b.activation("of the experts", h);
    norm("norm behind the mlp", of_mlp, "post_feedforward_layernorm_1", first);
    const std::string seen = b.activation("seen by the router", h);
    // The router's scale stands for a norm's weights, times hidden^-1/2.
    b.rms_norm("router norm", middle,
               b.scaled_norm_weight("router_scale", h, "router.scale", 1.0f / std::sqrt(static_cast<float>(h))), seen,
               h);
    norm("experts norm", middle, "pre_feedforward_layernorm_2", normed);
    mixture(b, *l.experts, normed, {}, of_experts, seen);
    last = b.activation("of both", h);
    norm("norm behind the experts", of_experts, "post_feedforward_layernorm_2", last, first);
  }
  const std::string scalar = b.f32_vector("layer_scalar", 1, "layer_scalar");
  b.plan().weights.back().mean = 1.0f;
  b.plan().weights.back().stored = &weight_format(b.shape().weights.vectors);
  norm("last norm", last, "post_feedforward_layernorm", output, middle, scalar);
}

}  // namespace layercost

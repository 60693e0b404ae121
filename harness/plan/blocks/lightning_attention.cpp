// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/lightning_attention.h"

#include <cmath>

#include "kernels/core/error.h"

namespace layercost {

float lightning_slope(std::int64_t heads, std::int64_t layers, std::int64_t layer, std::int64_t h) {
  // transformers' two terms of 1e-5 keep the last layer from forgetting nothing, and one layer from dividing by 0.
  const double depth = 1 - static_cast<double>(layer) / (static_cast<double>(layers - 1) + 1e-5) + 1e-5;
  return static_cast<float>(std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(heads)) * depth);
}

std::string lightning_attention(LayerBuilder& b, const LightningAttention& a, const std::string& x) {
  if (b.model().ranks > 1)
    throw BadCase(
        "the norm over all heads of lightning attention needs an exchange before its gate, which is not "
        "supported yet");
  const StepShape& s = b.shape();
  const std::int64_t h = b.model().hidden, width = a.heads * a.head_dim;
  const std::string in = "self_attn.";
  const std::string qkv = b.activation("qkv", 3 * width);
  b.linear("qkv", x, b.matrix("qkv_w", {3 * width, h}, {{in + "qkv_proj.weight", {3 * width, h}}}), qkv, 3 * width, h);

  const LayerBuilder::StateNames state = b.state("recurrent state", DType::f32, {a.heads, a.head_dim, a.head_dim});
  const std::string attended = b.activation("attended", width);
  OpCase lightning("lightning_attention");
  lightning.set("batch", s.batch).set("q_len", s.q_len).set("heads", a.heads).set("head_dim", a.head_dim);
  lightning.set("x_type", s.activation_type).set("y_type", s.activation_type);
  // A stack may have more layers than the model.
  const auto slope = [heads = a.heads, layers = b.model().layers](std::int64_t layer, std::int64_t i) {
    return lightning_slope(heads, layers, layer % layers, i);
  };
  std::map<std::string, std::string> bind = {
      {"qkv", qkv}, {"slopes", b.rule_vector("slopes", a.heads, slope)}, {"y", attended}, {"next_state", state.after}};
  if (b.continues()) {
    lightning.set("continued", 1);
    bind["state"] = state.before;
  }
  b.op("lightning", std::move(lightning), std::move(bind));
  for (const char* tensor : {"slope_rate", "query_decay", "key_decay", "diagonal_decay"})
    b.plan().ignored_tensors.push_back(in + tensor);

  const std::string normed = b.activation("normed values", width), gate = b.activation("gate", width);
  b.rms_norm("value norm", attended, b.norm_weight("value_norm", width, in + "norm.weight"), normed, width, {}, {},
             LightningAttention::kNormEps);
  b.linear("gate", x, b.matrix("gate_w", {width, h}, {{in + "output_gate.weight", {width, h}}}), gate, width, h);
  const std::string gated = b.activation("gated attention", width);
  b.sigmoid_gate("gated attention", normed, gate, gated, width, width);
  const std::string projected = b.activation("projected", h);
  b.linear("out", gated, b.matrix("out_w", {h, width}, {{in + "out_proj.weight", {h, width}}}), projected, h, width);
  return projected;
}

}  // namespace layercost

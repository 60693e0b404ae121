// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/dense_mlp.h"

namespace layercost {

void dense_mlp(LayerBuilder& b, const DenseMlp& m, const std::string& x, const std::string& residual,
               const std::string& y) {
  const std::int64_t h = b.model().hidden, f = m.ffn_hidden;
  const std::string gate_up = b.activation("gate_up", 2 * f), gated = b.activation("gated", f);
  LinearOptions gate_up_options, down_options;
  if (m.bias) {
    gate_up_options.bias = b.bias("gate_up_bias", {{"mlp.gate_proj.bias", {f}}, {"mlp.up_proj.bias", {f}}});
    down_options.bias = b.bias("down_bias", {{"mlp.down_proj.bias", {h}}});
  }
  b.linear("gate_up", x,
           b.matrix("gate_up_w", {2 * f, h}, {{"mlp.gate_proj.weight", {f, h}}, {"mlp.up_proj.weight", {f, h}}}),
           gate_up, 2 * f, h, gate_up_options);
  OpCase glu("glu");
  glu.set("tokens", b.tokens()).set("ffn_hidden", f).set("act", "silu");
  glu.set("x_type", b.shape().activation_type).set("y_type", b.shape().activation_type);
  b.op("glu", std::move(glu), {{"x", gate_up}, {"y", gated}});
  down_options.residual = residual;
  b.linear("down", gated, b.matrix("down_w", {h, f}, {{"mlp.down_proj.weight", {h, f}}}), y, h, f, down_options);
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/dense_mlp.h"

namespace layercost {

void dense_mlp(LayerBuilder& b, const DenseMlp& m, const std::string& x, const std::string& residual,
               const std::string& y) {
  const LayerBuilder::Part part = b.part_of(m.ffn_hidden, "columns of the " + m.name + "MLP");
  const std::int64_t h = b.model().hidden, f = part.count, all = m.ffn_hidden;
  if (m.name.empty()) b.partial_sum();  // that of shared experts is the mixture's
  const auto tensor = [&](const std::string& which, const char* end) { return m.prefix + "." + which + end; };
  const std::string gate_up = b.activation(m.name + "gate_up", 2 * f);
  std::string gated = b.activation(m.name + "gated", f);
  LinearOptions gate_up_options, down_options;
  if (m.bias) {
    gate_up_options.bias = b.bias(m.name + "gate_up_bias", {b.rows_of(tensor(m.gate, ".bias"), {all}, part),
                                                            b.rows_of(tensor(m.up, ".bias"), {all}, part)});
    if (b.is_first_rank()) down_options.bias = b.bias(m.name + "down_bias", {{tensor(m.down, ".bias"), {h}}});
  }
  b.fused_linear(
      m.name + "gate_up", x, m.name + "gate_up_w",
      {b.rows_of(tensor(m.gate, ".weight"), {all, h}, part), b.rows_of(tensor(m.up, ".weight"), {all, h}, part)},
      gate_up, h, gate_up_options);
  OpCase glu("glu");
  glu.set("tokens", b.tokens()).set("ffn_hidden", f).set("act", m.act);
  if (m.limit > 0) glu.set("limit", m.limit);
  glu.set("x_type", b.shape().activation_type).set("y_type", b.shape().activation_type);
  b.op(m.name + "glu", std::move(glu), {{"x", gate_up}, {"y", gated}});
  if (!m.gated_by.empty()) {
    // f32 like the router's logits; its one row is no weight format's.
    const std::string gate = b.buffer(m.name + "gate", BufferRole::activation, DType::f32, {b.tokens(), 1});
    const std::string w =
        b.matrix(m.name + "gate_w", {1, h}, {{m.gated_by + ".weight", {1, h}}}, b.shape().weights.vectors);
    b.linear(m.name + "gate", x, w, gate, 1, h, {.y_type = DType::f32});
    const std::string product = b.activation(m.name + "gated by token", f);
    b.sigmoid_gate(m.name + "gated", gated, gate, product, f, 1);
    gated = product;
  }
  down_options.residual = residual;
  b.linear(m.name + "down", gated,
           b.matrix(m.name + "down_w", {h, f}, {b.columns_of(tensor(m.down, ".weight"), {h, all}, part)}), y, h, f,
           down_options);
}

}  // namespace layercost

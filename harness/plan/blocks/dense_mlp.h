// What:    the gated MLP of a dense layer: down(act(gate(x)) * up(x)) + residual. A shared expert may have a gate of
//          its own, one number per token: what goes into the last product is multiplied by its sigmoid, which is the
//          same as multiplying what comes out.
// Layer:   gate_up -> glu -> [gate -> gated ->] down + residual
// Tensors: mlp.{gate,up,down}_proj.{weight,bias}, or with other names below another prefix
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/layer_builder.h"

namespace layercost {

struct DenseMlp {
  std::int64_t ffn_hidden = 0;
  bool bias = false;
  std::string prefix = "mlp", gate = "gate_proj", up = "up_proj", down = "down_proj";
  std::string gated_by = {};  // a matrix of one row, with its prefix: "mlp.shared_expert_gate"
  std::string act = "silu";   // kernels/contract/glu_act.h
  double limit = 0;           // of "clamped"
  std::string name = {};      // before the names of components, buffers and weights: "shared "
};

// x [tokens, hidden]; y = residual ("": none) + the MLP of x, both of that shape.
void dense_mlp(LayerBuilder&, const DenseMlp&, const std::string& x, const std::string& residual, const std::string& y);

}  // namespace layercost

// What:    a product with the sigmoid of a gate: one gate per element (behind attention), or one per token (of a shared
//          expert), or one per group of neighbours.
// Formula: y[t,i] = x[t,i] / (1 + exp(-gate[t, i / (width / gates)]))
// Shapes:  x, y [tokens, width]; gate [tokens, gates]; gates divides width.
// Types:   x_type, gate_type, y_type: f32 or bf16. Arithmetic in f32.
// Cost:    4 flops per element.
// Axes:    tokens width gates x_type gate_type y_type
// Tolerance: usual.
// Source:  transformers 5.23 (modeling_qwen3_next.py).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {

extern const OpDef sigmoid_gate_op;

struct SigmoidGateAxes {
  std::int64_t tokens, width, gates;
  std::int64_t group() const { return width / gates; }
};
SigmoidGateAxes sigmoid_gate_axes(const OpCase&);

}  // namespace layercost

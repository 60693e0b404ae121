// What:    the gated activation between the two halves of an MLP.
// Formula: y[t,i] = act(x[t,i], x[t, ffn_hidden + i]), of contract/glu_act.h
// Shapes:  x [tokens, 2 * ffn_hidden], the gate half, then the up half; y [tokens, ffn_hidden].
// Types:   x_type, y_type: f32 or bf16. Arithmetic in f32.
// Cost:    5 flops per element of y (negate, exp, add, divide, multiply; exp counted as one); clamped, gelu_tanh: 10.
// Axes:    tokens ffn_hidden [act=silu|clamped|gelu_tanh] [limit] x_type y_type
// Tolerance: usual; no sums.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef glu_op;
}

// What:    the chosen experts of a mixture-of-experts layer, from tokens and routing to the weighted sum of their
//          results.
// Formula: h[t,j,:] = act(Wg x[t], Wu x[t])    Wg, Wu = upper and lower half of the rows of w_gate_up[ids[t,j]]
//          y[t,:]   = sum_j weights[t,j] * w_down[ids[t,j]] h[t,j,:]  (+ residual[t,:])
//          weigh_input=1: an expert sees weights[t,j] * x[t], and its result is added as it is.
//          act of contract/glu_act.h; bias=1: b_gate_up[ids[t,j]] is added to the first products, b_down to the last.
// Shapes:  x [tokens, hidden]; ids [tokens, top_k], i32, different within a row; weights [tokens, top_k], f32;
//          w_gate_up [experts, 2 * ffn_hidden, hidden] (gate rows first); w_down [experts, hidden, ffn_hidden];
//          b_gate_up [experts, 2 * ffn_hidden]; b_down [experts, hidden]; residual, y [tokens, hidden].
// Types:   x_type (x; variants may also keep the inner activations in it), y_type (residual, y), bias_type: f32 or
//          bf16; w_type, and down_type for w_down (else w_type): any weight format. Without bias_type biases are as
//          plain weights.
// Cost:    6 tokens top_k hidden ffn_hidden flops and the activation; reads 3 hidden ffn_hidden weights of each
//          distinct expert.
// Axes:    tokens hidden ffn_hidden experts top_k [act=silu|clamped|gelu_tanh] [limit] x_type w_type y_type [down_type]
//          [residual=0|1] [bias=0|1 bias_type] [weigh_input=0|1]
// Tolerance: bf16: three inner roundings (after gate and up, the activation, down) of 1.7e-3 root mean square each, the
//          first on two factors, and the output's own: sqrt(5) * 1.7e-3 = 3.8e-3 expected, 6e-3 allowed. f32: usual.
// Source:  weigh_input: Llama 4 in transformers 5.
// One op, because the best implementations fuse differently per number of tokens.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef moe_experts_op;
}

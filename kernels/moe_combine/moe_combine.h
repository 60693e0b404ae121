// What:    the weighted sum of the experts' results of each token, with an optional residual.
// Formula: y[t,h] = sum_j weights[t,j] * x[slots[t,j],h]  (+ residual[t,h])
// Shapes:  x [tokens * top_k, hidden]; slots [tokens, top_k], i32, a permutation of the rows of x;
//          weights [tokens, top_k], f32; residual, y [tokens, hidden].
// Types:   x_type (x), y_type (residual, y): f32 or bf16. Sums in f32, in the order of j, the residual last.
// Cost:    2 tokens top_k hidden flops (+1 per element with residual); reads x once.
// Axes:    tokens hidden top_k x_type y_type [residual=0|1]
// Tolerance: usual, sums of top_k terms.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef moe_combine_op;
}

// What:    matrix product with a constant matrix, optional bias and residual.
// Formula: y[m,n] = sum_k x[m,k] * w[n,k]  (+ bias[n])  (+ residual[m,n])
// Shapes:  x [m, k]; w [n, k] (row n holds the weights of output n, as checkpoints store it); bias [n];
//          residual, y [m, n].
// Types:   x_type, y_type (y and residual), bias_type: f32 or bf16; w_type: any weight format. Sums in f32.
// Cost:    2 m n k flops; reads n k weights once.
// Axes:    m n k x_type w_type y_type [bias=0|1] [residual=0|1]
// Tolerance: usual, sums of k terms.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef linear_op;
}

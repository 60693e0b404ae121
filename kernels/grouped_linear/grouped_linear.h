// What:    matrix products of consecutive groups of rows, each group with a matrix of its own.
// Formula: y[r,n] = sum_k x[r,k] * w[e,n,k]  (+ bias[e,n])      offsets[e] <= r < offsets[e+1]
// Shapes:  x [rows, k]; offsets [experts + 1], i32, non-decreasing from 0 to rows; w [experts, n, k];
//          bias [experts, n]; y [rows, n].
// Types:   x_type, y_type, bias_type: f32 or bf16; w_type: any weight format. Without bias_type a bias is as a plain w.
//          Sums in f32.
// Cost:    2 rows n k flops; reads n k weights of each expert that has rows.
// Axes:    rows experts n k x_type w_type y_type [bias=0|1 bias_type]
// Tolerance: usual, sums of k terms.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef grouped_linear_op;
}

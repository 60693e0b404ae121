// What:    matrix product with a constant matrix, optional bias and residual.
// Formula: y[m, y_first + n] = sum_k x[m,k] * w[n,k]  (+ bias[n])  (+ residual[m,n])
// Shapes:  x [m, k]; w [n, k] (row n holds the weights of output n, as checkpoints store it); bias [n];
//          residual, y [m, n]. With y_width: y [m, y_width], of which this product makes the columns from y_first on
//          and leaves the others as they are; no residual. So several matrices, each in a format of its own, fill what
//          is read as one (q, k and v; gate and up).
// Types:   x_type, y_type (y and residual), bias_type: f32 or bf16; w_type: any weight format. Sums in f32.
// Cost:    2 m n k flops; reads n k weights once.
// Axes:    m n k x_type w_type y_type [bias=0|1] [residual=0|1] [y_width y_first]
// Tolerance: usual, sums of k terms.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef linear_op;

// The first element of y that the case makes, and elements from row to row.
struct LinearOutput {
  void* data;
  std::int64_t stride;
};
LinearOutput linear_output(const OpCase&, const Tensor& y);

}  // namespace layercost

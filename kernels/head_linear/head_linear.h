// What:    a matrix product of its own for every head. Latent attention in its absorbed form needs two: queries times
//          the rows of kv_b_proj that make keys (transposed=1), and what was attended times the rows that make values.
// Formula: W_h = the rows first_row .. of w that belong to head h, which has `rows` of them.
//            transposed=0: y[t,h,j] = sum_i x[t,h,i] W_h[j,i]    j < n, i < k: n rows of k
//            transposed=1: y[t,h,j] = sum_i x[t,h,i] W_h[i,j]    k rows of n
//          and y[t,h,n+i] = x[t,h,k+i] for i < tail: what is not multiplied goes along.
// Shapes:  x [tokens, heads, k + tail]; w [heads * rows, k], transposed [heads * rows, n]; y [tokens, heads, n + tail].
// Types:   x_type, y_type: f32 or bf16; w_type: any weight format. Sums in f32.
// Cost:    2 tokens heads n k flops; reads the rows that are used once.
// Axes:    tokens heads n k rows [first_row=0] [transposed=0|1] [tail=0] x_type w_type y_type
// Tolerance: usual, sums of k terms.
// Errors:  BadCase unless the rows that are used are among the head's.
// Source:  DeepSeek-AI, "DeepSeek-V2", 2024, section 2.1.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef head_linear_op;

struct HeadLinearAxes {
  std::int64_t tokens, heads, n, k, rows, first_row, tail;
  bool transposed;

  std::int64_t used_rows() const { return transposed ? k : n; }
  std::int64_t columns() const { return transposed ? n : k; }
  std::int64_t x_dim() const { return k + tail; }
  std::int64_t y_dim() const { return n + tail; }
  std::int64_t row_of(std::int64_t head) const { return head * rows + first_row; }  // the first that is used
};
HeadLinearAxes head_linear_axes(const OpCase&);
// The used parts of w as [heads, n, k], whichever way they lie; kept beside other packed forms of w.
std::shared_ptr<const Weight> head_matrices(const std::shared_ptr<const Weight>& w, const HeadLinearAxes&);
}  // namespace layercost

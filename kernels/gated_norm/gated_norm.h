// What:    root-mean-square normalisation of each head of a token, times the activation of a gate, as behind linear
//          attention.
// Formula: y[t,h,:] = x[t,h,:] / sqrt(mean(x[t,h,:]^2) + eps) * w * silu(z[t,h,:]);  silu(z) = z / (1 + exp(-z))
// Shapes:  x, y [tokens, heads, dim]; z [tokens, z_width], of whose rows the last heads * dim are read (z_width is
//          heads * dim where it is absent); w [dim].
// Types:   x_type (x, z), w_type, y_type: f32 or bf16. Arithmetic in f32.
// Cost:    9 flops per element.
// Axes:    tokens heads dim eps x_type w_type y_type [z_width]
// Tolerance: usual; the mean is a sum of `dim` terms.
// Source:  Yang et al., "Gated Delta Networks", 2024; transformers 5.23 (modeling_qwen3_next.py).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {

extern const OpDef gated_norm_op;

struct GatedNormAxes {
  std::int64_t tokens, heads, dim, z_width;
  double eps;
  std::int64_t width() const { return heads * dim; }
};
GatedNormAxes gated_norm_axes(const OpCase&);

}  // namespace layercost

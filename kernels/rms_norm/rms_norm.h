// What:    root-mean-square normalisation of each token, with an optional residual add in front.
// Formula: s[t,h] = x[t,h] + residual[t,h]          (residual=1; then s is a second output, `sum`)
//          x_times, residual_times: factors of the two in s; y_times: `sum` is y_times * y instead   (residual=1)
//          y[t,h] = s[t,h] / sqrt(mean_h(s[t,:]^2) + eps) * w[h]
//          added=1: y[t,h] + addend[t,h], scaled=1: then times scale[0]   (no residual then)
// Shapes:  x, residual, sum, addend, y [tokens, hidden]; w [hidden]; scale [1].
// Types:   x_type (x, residual, sum), w_type, y_type (addend, y): f32 or bf16; scale f32. Arithmetic in f32.
// Cost:    4 * tokens * hidden flops (+1 per element each with residual, added, scaled and a factor).
// Axes:    tokens hidden eps x_type w_type y_type [residual=0|1] [added=0|1] [scaled=0|1] [x_times] [residual_times]
//          [y_times]
// Tolerance: usual; the mean is a sum of `hidden` terms.
// Source:  Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019; the residual add sits here because every
//          decoder layer normalises the sum of its input and the attention's output and needs both. added: Gemma's
//          norms stand behind a block, and the stream is added after them; scaled: Gemma 4's layers end with a factor.
//          x_times, residual_times, y_times: MiniMax-Text-01's stream goes on from the norm, each part with a factor.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef rms_norm_op;

// Of s, and of y in `sum`; y_times 0: `sum` is s.
struct RmsNormFactors {
  float x = 1, residual = 1, y_of_sum = 0;
};
RmsNormFactors rms_norm_factors(const OpCase&);
}  // namespace layercost

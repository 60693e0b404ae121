// What:    causal convolution of every channel over the tokens of its sequence, then silu, as in front of linear
//          attention. What a later step needs of this one, the last inputs, is a state.
// Formula: u[b,t,c] = x[b,t,c] for t >= 0; before the first token the state's rows, or zeros without one
//          z[b,t,c] = sum_j w[c,j] * u[b, t - kernel + 1 + j, c];  y = z / (1 + exp(-z))
//          next_state[b,i,c] = u[b, q_len - kernel + 1 + i, c]
// Shapes:  x [batch * q_len, x_width], of whose rows the first `channels` are read (x_width is channels where it is
//          absent); w [channels, kernel]; y [batch * q_len, channels]; state, next_state [batch, kernel - 1, channels].
// State:   read with continued=1; written to another tensor, so that a step can be repeated.
// Types:   x_type (x, states), w_type, y_type: f32 or bf16. Arithmetic in f32.
// Cost:    2 * kernel + 4 flops per output.
// Axes:    batch q_len channels kernel x_type w_type y_type [x_width] [continued=0|1]
// Tolerance: usual.
// Source:  Dao, causal-conv1d; transformers 5.23 (modeling_qwen3_next.py).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {

extern const OpDef causal_conv_op;

struct CausalConvAxes {
  std::int64_t batch, q_len, channels, kernel, x_width;
  bool continued;
  std::int64_t tokens() const { return batch * q_len; }
};
CausalConvAxes causal_conv_axes(const OpCase&);

}  // namespace layercost

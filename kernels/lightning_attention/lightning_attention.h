// What:    lightning attention, a linear attention: per head a matrix (the state) that decays by the head's own
// constant
//          factor a token, takes up a key and its value, and is read by a query. One op for prefill and decode.
// Formula: per head h, tokens in order, q, k and v being silu of what qkv holds (silu(x) = x / (1 + exp(-x))):
//            S = exp(-slopes[h]) * S + k v^T;  y = S^T q
// Shapes:  qkv [batch * q_len, heads * 3 * head_dim]: per head q, k, v; slopes [heads]; y [batch * q_len, heads,
//          head_dim]; state, next_state [batch, heads, head_dim, head_dim].
// State:   read with continued=1, else zero; written to another tensor, so that a step can be repeated.
// Types:   x_type (qkv), y_type: f32 or bf16; slopes and the states f32. Arithmetic in f32.
// Cost:    5 * head_dim^2 flops per token and head (decay, update, read) and 4 per element of qkv, however it is
//          computed: chunks of C tokens as products spend about 4 C head_dim more on what the tokens of a chunk say of
//          each other, and less on the state.
// Axes:    batch q_len heads head_dim x_type y_type [continued=0|1]
// Tolerance: usual, with 64 * head_dim terms.
// Source:  Qin et al., "Lightning Attention-2", 2024; MiniMax, "MiniMax-01: Scaling Foundation Models with Lightning
//          Attention", 2025; transformers 5.23 (modeling_minimax.py).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {

extern const OpDef lightning_attention_op;

struct LightningAttentionAxes {
  std::int64_t batch, q_len, heads, head_dim;
  bool continued;
  std::int64_t tokens() const { return batch * q_len; }
  std::int64_t width() const { return heads * 3 * head_dim; }
  // Where the vectors of head h begin in a row of qkv.
  std::int64_t q_at(std::int64_t h) const { return 3 * h * head_dim; }
  std::int64_t k_at(std::int64_t h) const { return (3 * h + 1) * head_dim; }
  std::int64_t v_at(std::int64_t h) const { return (3 * h + 2) * head_dim; }
};
LightningAttentionAxes lightning_attention_axes(const OpCase&);

}  // namespace layercost

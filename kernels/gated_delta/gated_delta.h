// What:    the gated delta rule, a linear attention: per head a matrix (the state) that decays, forgets what it says of
//          a key, takes up the key's value, and is read by a query. One op for prefill and decode.
// Formula: per value head h, whose keys and queries are those of key head h / (heads / key_heads); tokens in order:
//            q^ = q / sqrt(|q|^2 + 1e-6) / sqrt(key_dim);  k^ = k / sqrt(|k|^2 + 1e-6)
//            decay = exp(-exp(a_log[h]) * log(1 + exp(a + dt_bias[h])));  beta = 1 / (1 + exp(-b))
//            S = decay * S;  S = S + k^ (beta * (v - S^T k^))^T;  y = S^T q^
// Shapes:  qkv [batch * q_len, (2 * key_heads * key_dim + heads * value_dim)]: all q, all k, all v; ba [batch * q_len,
//          2 * heads]: all b, all a; a_log, dt_bias [heads]; y [batch * q_len, heads, value_dim];
//          state, next_state [batch, heads, key_dim, value_dim].
// State:   read with continued=1, else zero; written to another tensor, so that a step can be repeated.
// Types:   x_type (qkv), y_type: f32 or bf16; ba, a_log, dt_bias and the states f32. Arithmetic in f32.
// Cost:    6 * key_dim * value_dim flops per token and value head (read, update, read again), however it is computed:
//          chunks of C tokens as products (the UT transform) spend about C * (3 * key_dim + 2 * value_dim) more on what
//          the tokens of a chunk say of each other.
// Axes:    batch q_len heads key_heads key_dim value_dim x_type y_type [continued=0|1]
// Tolerance: usual, with 64 * key_dim terms.
// Source:  Yang et al., "Gated Delta Networks: Improving Mamba2 with Delta Rule", 2024; Yang et al., "Parallelizing
//          Linear Transformers with the Delta Rule over Sequence Length", 2024; transformers 5.23
//          (modeling_qwen3_next.py).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {

extern const OpDef gated_delta_op;

inline constexpr double kGatedDeltaEps = 1e-6;  // of the norms of q and k

struct GatedDeltaAxes {
  std::int64_t batch, q_len, heads, key_heads, key_dim, value_dim;
  bool continued;
  std::int64_t tokens() const { return batch * q_len; }
  std::int64_t group() const { return heads / key_heads; }
  std::int64_t width() const { return 2 * key_heads * key_dim + heads * value_dim; }
  // Where the vectors of value head h begin in a row of qkv, and its numbers in a row of ba.
  std::int64_t q_at(std::int64_t h) const { return h / group() * key_dim; }
  std::int64_t k_at(std::int64_t h) const { return (key_heads + h / group()) * key_dim; }
  std::int64_t v_at(std::int64_t h) const { return 2 * key_heads * key_dim + h * value_dim; }
  std::int64_t b_at(std::int64_t h) const { return h; }
  std::int64_t a_at(std::int64_t h) const { return heads + h; }
};
GatedDeltaAxes gated_delta_axes(const OpCase&);

}  // namespace layercost

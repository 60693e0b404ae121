// What:    rotary position embedding of queries and keys, an optional RMSNorm of both before or after it, and the
//          append of keys and values to the cache.
// Formula: token t belongs to sequence b = t / q_len and sits at position p = kv_len - q_len + t % q_len, which is also
//          its slot in the cache. With d = head_dim, r = rotary_dims, i < r/2, and x one head of q or k:
//            x = x / sqrt(mean(x^2) + eps) * norm    (qk_norm=1: over the head; =whole: over all q heads, or all k
//                                                     heads, of the token; q_norm for q, k_norm for k)
//            out[a] = x[a] cos[p,i] - x[b] sin[p,i]
//            out[b] = x[b] cos[p,i] + x[a] sin[p,i]  with a, b = i, i + r/2, or with interleaved=1 2i, 2i + 1
//            out[j] = x[j]                           for r <= j < d
//            out = out / sqrt(mean(out^2) + eps) * norm    (qk_norm=after: over the head; =bare: the same without norm)
//          q[t,h,:] = out of q head h (* q_scale[p], q_scale=1); k_cache[b,h,p,:] = out of k head h;
//          v_cache[b,h,p,:] = v head h as it is, with v_norm=1 / sqrt(mean(v^2) + eps). v_from_k=1: v head h is k head
//          h as it came, neither normed nor rotated.
// Shapes:  qkv [batch * q_len, (heads + 2 kv_heads) * head_dim], per token all q heads, then all k heads, then all v
//          heads, which v_from_k=1 leaves out; cos, sin [capacity, rotary_dims / 2] and q_scale [capacity], row =
//          position; q_norm, k_norm [head_dim], with qk_norm=whole [heads * head_dim] and [kv_heads * head_dim], with
//          qk_norm=bare none; q [batch * q_len, heads, head_dim]; k_cache, v_cache [batch, kv_heads, capacity,
//          head_dim], of which only the slots kv_len - q_len .. kv_len - 1 change.
// Types:   x_type (qkv), y_type (q), w_type (norms): f32 or bf16; kv_type (caches): f32, bf16 or
//          fp8_e4m3; cos, sin and q_scale f32. Arithmetic in f32.
// Cost:    3 flops per rotated element of q and k, 4 per element of q and k with qk_norm (bare: 3), 3 of v with v_norm,
//          1 of q with q_scale; of the tables the rows of q_len positions: q_len * rotary_dims * 4 bytes for cos and
//          sin.
// Axes:    batch q_len kv_len capacity heads kv_heads head_dim [rotary_dims] [interleaved=0|1]
//          [qk_norm=0|1|whole|after|bare eps] [v_norm=0|1] [v_from_k=0|1] [q_scale=0|1] x_type y_type kv_type w_type
//          kv_len counts the keys after the append; without rotary_dims the whole head is rotated.
// Tolerance: usual; the mean of a norm is a sum of head_dim terms, or of all heads'.
// Errors:  BadCase unless q_len <= kv_len <= capacity, kv_heads divides heads, head_dim and rotary_dims are even and
//          rotary_dims <= head_dim, and of v_norm and v_from_k without a norm of each head of q and k.
// Source:  Su et al., "RoFormer", 2021, which turns neighbours (interleaved=1: DeepSeek, Llama 4, Ernie), or in the
//          halves form of Llama and Qwen; a part of the head: GPT-J, GLM-4.5, MiniMax-M2. Norms: of each head in
//          Qwen3 and GLM-4.5, whole in OLMoE and MiniMax-M2, after the rotation in Hunyuan, bare in Llama 4; v_norm and
//          v_from_k: Gemma 4; q_scale, a temperature that grows with the position: Llama 4, Ministral 3. transformers
//          returns DeepSeek's pairs as halves, which permutes q and k alike and leaves their products as they are; here
//          they stay in place. The frequencies (theta, scaling) are in cos and sin, which the caller makes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef rope_op;

enum class QkNorm { none, head, whole, after, bare };

struct RopeAxes {
  std::int64_t batch, q_len, kv_len, capacity, heads, kv_heads, head_dim, rotary_dims;
  bool interleaved;
  QkNorm qk_norm;
  double eps;  // 0 without qk_norm
  bool v_norm, v_from_k, q_scale;

  std::int64_t tokens() const { return batch * q_len; }
  std::int64_t position(std::int64_t token) const { return kv_len - q_len + token % q_len; }
  bool has_norm() const { return qk_norm != QkNorm::none; }
  bool has_norm_weights() const { return has_norm() && qk_norm != QkNorm::bare; }
  bool norms_turned() const { return qk_norm == QkNorm::after || qk_norm == QkNorm::bare; }
  // Heads of a token in qkv, and the one that v head h is made of.
  std::int64_t row_heads() const { return heads + (v_from_k ? 1 : 2) * kv_heads; }
  std::int64_t v_source(std::int64_t h) const { return heads + (v_from_k ? 0 : kv_heads) + h; }
  // How many values of a norm's weight belong to one head of its own: where head h's begin is h times that.
  std::int64_t norm_stride() const { return qk_norm == QkNorm::whole ? head_dim : 0; }
  // First element of the cache slot that head h of this token is appended to.
  std::int64_t slot(std::int64_t token, std::int64_t h) const {
    return ((token / q_len * kv_heads + h) * capacity + position(token)) * head_dim;
  }
};
RopeAxes rope_axes(const OpCase&);
}  // namespace layercost

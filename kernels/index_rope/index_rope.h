// What:    the queries and the cache entry of the lightning indexer: LayerNorm of a token's index key, rotation of the
//          first part of the key and of each index query, append of the key to the index cache.
// Formula: token t belongs to sequence b = t / q_len and sits at position p = kv_len - q_len + t % q_len, which is also
//          its slot. With R = rope_dim, D = head_dim, rot() as in rope (interleaved=1: neighbours) and k one row:
//            key                  = (k - mean(k)) / sqrt(mean((k - mean(k))^2) + eps) * norm + norm_bias
//            index_cache[b,0,p,:] = rot(key[:R]), key[R:]
//            rotated[t,h,:]       = rot(q[t,h,:R]), q[t,h,R:]
// Shapes:  q [batch * q_len, heads * head_dim]; k [batch * q_len, head_dim]; norm, norm_bias [head_dim];
//          cos, sin [capacity, rope_dim / 2]; rotated [batch * q_len, heads, head_dim];
//          index_cache [batch, 1, capacity, head_dim], of which only the slots kv_len - q_len .. kv_len - 1 change.
// Types:   x_type (q, k), y_type (rotated), kv_type (cache), w_type (norm, norm_bias): f32 or bf16; cos, sin f32.
//          Arithmetic in f32.
// Cost:    7 flops per element of a key, 3 per rotated element; writes one cache entry per token.
// Axes:    batch q_len kv_len capacity heads head_dim rope_dim eps [interleaved=0|1] x_type y_type kv_type w_type
// Tolerance: usual, a mean of head_dim terms.
// Errors:  BadCase unless q_len <= kv_len <= capacity, rope_dim is even and at most head_dim.
// Source:  DeepSeek-AI, "DeepSeek-V3.2", 2025; DeepseekV32Indexer (halves) and GlmMoeDsaIndexer (neighbours) of
//          transformers 5. DeepSeek's own code multiplies queries and keys by one orthogonal (Hadamard) matrix before
//          it rounds them to fp8; that leaves every product as it is, and is left out there as well as here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef index_rope_op;

struct IndexRopeAxes {
  std::int64_t batch, q_len, kv_len, capacity, heads, head_dim, rope_dim;
  bool interleaved;
  double eps;

  std::int64_t tokens() const { return batch * q_len; }
  std::int64_t position(std::int64_t token) const { return kv_len - q_len + token % q_len; }
  std::int64_t slot(std::int64_t token) const { return (token / q_len * capacity + position(token)) * head_dim; }
};
IndexRopeAxes index_rope_axes(const OpCase&);
}  // namespace layercost

// What:    the queries and the cache entry of multi-head latent attention: RMSNorm of a token's latent, rotation of the
//          key that all heads share and of a part of each query head, append of latent and key to the cache.
// Formula: token t belongs to sequence b = t / q_len and sits at position p = kv_len - q_len + t % q_len, which is also
//          its slot. With L = latent_dim, N = nope_dim, rot() as in rope (interleaved=1: neighbours) and kv one row:
//            latent                = kv[:L] / sqrt(mean(kv[:L]^2) + eps) * norm
//            latent_cache[b,0,p,:] = latent, rot(kv[L:])
//            latents[t,:]          = latent                       (latents=1)
//            rotated[t,h,:]        = q[t,h,:N], rot(q[t,h,N:])
// Shapes:  q [batch * q_len, heads * (nope_dim + rope_dim)]; kv [batch * q_len, latent_dim + rope_dim];
//          norm [latent_dim]; cos, sin [capacity, rope_dim / 2]; rotated [batch * q_len, heads, nope_dim + rope_dim];
//          latents [batch * q_len, latent_dim]; latent_cache [batch, 1, capacity, latent_dim + rope_dim], of which only
//          the slots kv_len - q_len .. kv_len - 1 change.
// Types:   x_type (q, kv), y_type (rotated, latents), kv_type (cache), w_type (norm): f32 or bf16; cos, sin f32.
//          Arithmetic in f32.
// Cost:    4 flops per element of a latent, 3 per rotated element; writes one cache entry per token.
// Axes:    batch q_len kv_len capacity heads nope_dim rope_dim latent_dim eps [interleaved=0|1] [latents=0|1]
//          x_type y_type kv_type w_type
// Tolerance: usual, a mean of latent_dim terms.
// Errors:  BadCase unless q_len <= kv_len <= capacity and rope_dim is even.
// Source:  DeepSeek-AI, "DeepSeek-V2", 2024; DeepseekV3Attention of transformers 5, whose cache holds the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef latent_rope_op;

struct LatentRopeAxes {
  std::int64_t batch, q_len, kv_len, capacity, heads, nope_dim, rope_dim, latent_dim;
  bool interleaved, latents;
  double eps;

  std::int64_t tokens() const { return batch * q_len; }
  std::int64_t head_dim() const { return nope_dim + rope_dim; }
  std::int64_t entry() const { return latent_dim + rope_dim; }  // elements of a cache entry
  std::int64_t position(std::int64_t token) const { return kv_len - q_len + token % q_len; }
  std::int64_t slot(std::int64_t token) const { return (token / q_len * capacity + position(token)) * entry(); }
};
LatentRopeAxes latent_rope_axes(const OpCase&);
}  // namespace layercost

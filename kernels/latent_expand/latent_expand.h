// What:    keys and values of all heads for latent attention in its expanded form, in the layout that attention reads:
//          what kv_b_proj made of the latents is taken apart, and every head's key gets the rotated part that all
//          share.
// Formula: with N = nope_dim, V = v_dim, L = latent_dim and row t = b * kv_len + j:
//            k[b,h,j,:] = expanded[t,h,:N], cache[b,0,j,L:]
//            v[b,h,j,:] = expanded[t,h,N:]
// Shapes:  expanded [batch * kv_len, heads * (nope_dim + v_dim)]; cache [batch, 1, capacity, latent_dim + rope_dim], of
//          which slots from kv_len on hold anything; k [batch, heads, kv_len, nope_dim + rope_dim]; v [batch, heads,
//          kv_len, v_dim].
// Types:   x_type (expanded), kv_type (cache), y_type (k, v): f32 or bf16.
// Cost:    no flops; everything is read and written once. That is no cache traffic: what is read of the cache was
//          written just before.
// Axes:    batch kv_len capacity heads nope_dim rope_dim v_dim latent_dim x_type kv_type y_type
// Tolerance: usual, one term.
// Errors:  BadCase unless kv_len <= capacity.
// Source:  expand_kv of DeepseekV3Attention in transformers 5.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef latent_expand_op;

struct LatentExpandAxes {
  std::int64_t batch, kv_len, capacity, heads, nope_dim, rope_dim, v_dim, latent_dim;

  std::int64_t tokens() const { return batch * kv_len; }
  // First elements of a token's rotated key in the cache, and of its head in expanded, k and v.
  std::int64_t shared_key(std::int64_t t) const {
    return (t / kv_len * capacity + t % kv_len) * (latent_dim + rope_dim) + latent_dim;
  }
  std::int64_t from(std::int64_t t, std::int64_t h) const { return (t * heads + h) * (nope_dim + v_dim); }
  std::int64_t place(std::int64_t t, std::int64_t h) const { return (t / kv_len * heads + h) * kv_len + t % kv_len; }
};
LatentExpandAxes latent_expand_axes(const OpCase&);
}  // namespace layercost

// What:    multi-head latent attention: keys and values of all heads are made from one latent per token, and the cache
//          holds that latent and one rotated key that all heads share. Two forms that compute the same: a prompt from
//          an empty cache is expanded (keys and values of every head are made once, for all queries), every other step
//          is absorbed (the matrices that make keys and values are applied to queries and results instead, and
//          attention reads latents: heads query heads, one key head, values that are the first part of the keys).
// Layer:   q, or q_a -> q norm -> q_b; kv_a -> latent rope (norm, rotation, cache append); then
//            expanded  kv_b -> expand -> attention
//            absorbed  absorb k -> attention over the cache -> absorb v
//          -> o
//          With an indexer (lightning_indexer.h) a query sees no more than top_k of the keys. A step on more keys than
//          that is absorbed, a prompt too: all heads of a query then share the keys that are gathered for it, where the
//          expanded form would gather keys and values for every head. Up to top_k keys every query sees what it may,
//          and attention is as it is without one; the indexer runs all the same, as in the models.
// Tensors: self_attn.{q_proj or q_a_proj, q_a_layernorm, q_b_proj}, kv_a_proj_with_mqa (latent rows first, then those
//          of the shared key), kv_a_layernorm, kv_b_proj (per head: rows of keys, then of values), o_proj
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/blocks/lightning_indexer.h"
#include "harness/plan/layer_builder.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct LatentAttention {
  std::int64_t heads = 0;
  std::int64_t q_rank = 0;  // 0: queries are made in one step
  std::int64_t latent_dim = 0;
  std::int64_t nope_dim = 0, rope_dim = 0, v_dim = 0;  // per head; rope_dim: the rotated, last part of a query or key
  bool bias = false;                                   // on q_a, kv_a and o
  double norm_eps = 1e-6;                              // of the norms of latents
  double scale = 1;                                    // of scores
  RotarySpec rotary;
  LightningIndexer indexer = {};

  std::int64_t qk_dim() const { return nope_dim + rope_dim; }
};

// x [tokens, hidden] to the projected result of the same shape, whose name is returned.
std::string latent_attention(LayerBuilder&, const LatentAttention&, const std::string& x);

// From num_attention_heads, q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim, attention_bias
// and the keys of read_rotary.
LatentAttention read_latent_attention(const JsonNode& config, ModelSpec&);

}  // namespace layercost

// What:    the lightning indexer of DeepSeek's sparse attention: small heads of its own score every cached token, with
//          one key per token that all heads share, and each query keeps the top_k best.
// Layer:   index q, of the normed latent of the queries; index k and index weights, of the layer's normed input ->
//          index rope (LayerNorm of the key, rotation of the first part of both, cache append) -> select
//          Of a layer that shares the selection of one before it: nothing; the selection comes from outside.
// Tensors: self_attn.indexer.{wq_b, wk, k_norm.weight, k_norm.bias, weights_proj}
// Ranks:   every rank has the whole indexer, for its heads need the whole selection.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/layer_builder.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct LightningIndexer {
  std::int64_t heads = 0, head_dim = 0;
  std::int64_t top_k = 0;    // keys that a query sees; 0: there is no indexer
  bool interleaved = false;  // neighbours are turned, else halves
  bool shared = false;       // the selection is that of a layer before this one
  double norm_eps = 1e-6;    // of the key's norm
};

// What it shares with the attention beside it: the layer's normed input, the normed latent of the queries and its
// width, the rotated dims and their tables.
struct IndexerInputs {
  std::string x, q_latent;
  std::int64_t q_rank = 0, rope_dim = 0;
  std::string cos, sin;
};
// [tokens, min(top_k, kv_len)], the name of what attention reads; "" where the selection would come from outside and
// every query sees all it may see.
std::string lightning_indexer(LayerBuilder&, const LightningIndexer&, const IndexerInputs&);

// From index_topk, index_n_heads and index_head_dim.
LightningIndexer read_lightning_indexer(const JsonNode& config, std::int64_t rope_dim);

}  // namespace layercost

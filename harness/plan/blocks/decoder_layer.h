// What:    the decoder layer that most families share: norm before each of two blocks, and a residual around each.
// Layer:   norm -> attention -> norm with residual add (the sum as well) -> MLP or experts + residual
// Tensors: input_layernorm.weight, post_attention_layernorm.weight
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <variant>

#include "harness/plan/blocks/dense_mlp.h"
#include "harness/plan/blocks/gated_delta_attention.h"
#include "harness/plan/blocks/grouped_query_attention.h"
#include "harness/plan/blocks/latent_attention.h"
#include "harness/plan/blocks/mixture.h"

namespace layercost {

using Attention = std::variant<GroupedQueryAttention, LatentAttention, GatedDeltaAttention>;
using FeedForward = std::variant<DenseMlp, Mixture>;
struct DecoderBlocks {
  Attention attention;
  FeedForward feed_forward;
};
void decoder_layer(LayerBuilder&, const Attention&, const FeedForward&);
// From buffer to buffer, as a part of a larger plan.
void decoder_layer_between(LayerBuilder&, const Attention&, const FeedForward&, const std::string& input,
                           const std::string& output);
// "moe" or "dense", with its window or chunk, "unrotated", "linear" or "shared selection": all in which
// layers of such a model differ.
std::string kind_name(const Attention&, const FeedForward&);
// Adds the layer as one of the kind with that name.
void add_decoder_layer(ModelSpec&, const Attention&, const FeedForward&);
// Layers 0 .. first_k_dense_replace - 1 (absent: `dense`) with an MLP of intermediate_size, the others with experts.
// moe_layer_freq and mlp_layer_types have to say the same. num_nextn_predict_layers (or num_mtp_layers):
// add_mtp_layers.
void add_dense_then_experts(const JsonNode& config, std::int64_t dense, const Attention&, bool mlp_bias, const Mixture&,
                            ModelSpec&);
// With the attention of each layer; a layer for multi-token prediction has the first one's.
void add_dense_then_experts(const JsonNode& config, std::int64_t dense, const std::vector<Attention>&, bool mlp_bias,
                            const Mixture&, ModelSpec&);
// All layers of a model in which only the windows differ.
void add_decoder_layers(ModelSpec&, GroupedQueryAttention, const FeedForward&,
                        const std::vector<std::int64_t>& windows);

}  // namespace layercost

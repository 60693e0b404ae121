// What:    a layer for multi-token prediction: from what the model's last layer made of a token, and the embedding of
// the
//          next one, the state that the token after it is predicted from. Its head is the model's own, behind a norm of
//          its own: a drafted token takes this layer and the product with the LM head once more, which is not in it.
// Layer:   embedding norm, hidden norm -> projection of both, side by side -> decoder layer -> last norm
//          (the product with the two halves of the projection's columns, one after the other, is that with both side
//          by side)
// Tensors: <embedding_norm>.weight, <hidden_norm>.weight, <projection>.weight [hidden, 2 hidden], the embedding's
// columns
//          first, <last_norm>.weight; the decoder layer's below <layer>
// Source:  DeepSeek-AI, "DeepSeek-V3 Technical Report", 2024, section 2.2; deepseek-ai/DeepSeek-V3 README_WEIGHTS.md.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "harness/plan/blocks/decoder_layer.h"

namespace layercost {

// As deepseek_v3 and glm4_moe call them, behind the model's last layer.
struct MtpNames {
  const char *embedding_norm = "enorm", *hidden_norm = "hnorm", *projection = "eh_proj",
             *last_norm = "shared_head.norm";
};
void mtp_layer(LayerBuilder&, const Attention&, const FeedForward&, const MtpNames&);

// What a config's `key` says of them: `layers`, each one as a decoder layer of these blocks. The model's notes speak of
// them, and ModelSpec::mtp holds them.
void add_mtp_layers(ModelSpec&, std::string_view key, std::int64_t layers, const Attention&, const FeedForward&,
                    const MtpNames& = {});

}  // namespace layercost

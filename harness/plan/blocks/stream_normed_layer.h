// What:    the decoder layer of MiniMax-Text-01: norm before each of two blocks, and around each a residual that is the
//          norm's result, not what came in; the two parts of each sum have factors.
// Layer:   n = norm(x) -> attention -> m = norm(alpha n + beta attention) -> experts -> mlp_alpha m + mlp_beta experts
// Tensors: input_layernorm.weight, post_attention_layernorm.weight
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <variant>

#include "harness/plan/blocks/grouped_query_attention.h"
#include "harness/plan/blocks/lightning_attention.h"
#include "harness/plan/blocks/mixture.h"

namespace layercost {

struct StreamNormedLayer {
  std::variant<GroupedQueryAttention, LightningAttention> attention;
  Mixture experts;  // mlp_beta is its scaling
  double alpha = 1, beta = 1, mlp_alpha = 1;
};
void stream_normed_layer(LayerBuilder&, const StreamNormedLayer&);

}  // namespace layercost

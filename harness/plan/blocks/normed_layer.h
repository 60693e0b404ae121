// What:    the decoder layer of Gemma 4: a norm before each block and one behind it, whose result is added to the
//          stream; experts beside a dense MLP, each of the two with norms of its own, and a router that sees the stream
//          through a norm of its own; a factor of the whole at the end.
// Layer:   norm -> attention -> norm + stream -> norm -> MLP -> norm + stream, times layer_scalar; with experts
//            MLP -> norm; norm -> router -> route; norm -> experts -> norm + MLP's -> norm + stream
// Tensors: input_layernorm, post_attention_layernorm, pre_feedforward_layernorm{,_2},
// post_feedforward_layernorm{,_1,_2}
//          .weight; router.{scale, proj.weight, per_expert_scale}; layer_scalar
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "harness/plan/blocks/dense_mlp.h"
#include "harness/plan/blocks/grouped_query_attention.h"
#include "harness/plan/blocks/mixture.h"

namespace layercost {

struct NormedLayer {
  GroupedQueryAttention attention;
  DenseMlp mlp;
  std::optional<Mixture> experts;
};
void normed_layer(LayerBuilder&, const NormedLayer&);

}  // namespace layercost

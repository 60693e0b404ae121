// What:    lightning attention: a matrix per head instead of a cache, of one size however long the sequence is, that
// decays
//          by a constant of the head and the layer; a norm over all heads and a gate behind.
// Layer:   qkv -> lightning (recurrent state) -> norm -> gate -> gated attention -> out
// Tensors: self_attn.{qkv_proj, output_gate, norm, out_proj}.weight, qkv_proj with per head the rows of q, k and v.
//          save_pretrained also writes what follows from the layer's number: slope_rate and three decays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/layer_builder.h"

namespace layercost {

struct LightningAttention {
  std::int64_t heads = 0, head_dim = 0;
  static constexpr double kNormEps = 1e-6;  // whatever rms_norm_eps says
};

// x [tokens, hidden] to the projected result of the same shape, whose name is returned.
std::string lightning_attention(LayerBuilder&, const LightningAttention&, const std::string& x);

// What head h's state decays by in layer `layer` of `layers`: exp(-slope) a token.
float lightning_slope(std::int64_t heads, std::int64_t layers, std::int64_t layer, std::int64_t h);

}  // namespace layercost

// What:    linear attention by the gated delta rule: a matrix per head instead of a cache, of one size however long the
//          sequence is; a convolution over the last tokens in front, a gated norm behind.
// Layer:   qkvz -> conv (conv state) -> b and a -> gated delta (recurrent state) -> gated norm (z) -> out
// Tensors: linear_attn.{in_proj_qkvz, in_proj_ba} with rows in turns by key head, or {in_proj_qkv, in_proj_z,
//          in_proj_b, in_proj_a}; linear_attn.{conv1d.weight [channels, 1, kernel], A_log, dt_bias, norm, out_proj}
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/layer_builder.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct GatedDeltaAttention {
  std::int64_t heads = 0;  // of values; a key head serves heads / key_heads of them
  std::int64_t key_heads = 0, key_dim = 0, value_dim = 0, kernel = 0;
  // in_proj_qkvz and in_proj_ba: per key head q, k, the values and the gates of its group; b and a of its group.
  bool rows_in_turns = false;
  std::int64_t channels() const { return 2 * key_heads * key_dim + heads * value_dim; }
};

// x [tokens, hidden] to the projected result of the same shape, whose name is returned.
std::string gated_delta_attention(LayerBuilder&, const GatedDeltaAttention&, const std::string& x);

// From linear_num_value_heads, linear_num_key_heads, linear_key_head_dim, linear_value_head_dim and
// linear_conv_kernel_dim.
GatedDeltaAttention read_gated_delta_attention(const JsonNode& config);

}  // namespace layercost

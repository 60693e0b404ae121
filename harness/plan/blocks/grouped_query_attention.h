// What:    causal self-attention in which groups of query heads share a key and a value head (one group per head is
//          multi-head attention), with optional biases, norms of q and k, a window or chunks, sinks, and a temperature.
//          The rotation may leave the end of each head as it is. With a gate, each head of q_proj has its rows and then
//          as many of a gate; attention's result is multiplied by its sigmoid.
// Layer:   qkv -> rope (q/k norm, cache append) -> attention -> [gate -> gated attention ->] o
// Tensors: self_attn.{q,k,v,o}_proj.{weight,bias}, self_attn.{q,k}_norm.weight or with other names;
//          self_attn.sinks
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "harness/plan/layer_builder.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct GroupedQueryAttention {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t window = 0;  // 0: full attention; else key j is visible to query i when i - j < window
  std::int64_t chunk = 0;   // 0: none; else key j is visible to query i when both lie in the same chunk of so many
  bool qkv_bias = false, o_bias = false;
  std::string qk_norm = {};  // as the rope op says it: "1" of each head, "whole", "after", "bare"; empty: none
  std::string q_norm = "q_norm", k_norm = "k_norm";
  bool sinks = false;                     // one more score of each head, without a value
  bool v_norm = false, v_from_k = false;  // as the rope op says it; without v_proj then
  std::optional<double> scale = {};       // of scores; else head_dim^-1/2
  bool gate = false;
  RotarySpec rotary;
  QueryTemperature temperature;
  // Of a layer that turns nothing. The op turns one pair at least: it turns by 0.
  void without_rotation() { rotary = {.kind = RotarySpec::Kind::none, .dims = 2, .interleaved = rotary.interleaved}; }
};

// x [tokens, hidden] to the projected result of the same shape, whose name is returned.
std::string grouped_query_attention(LayerBuilder&, const GroupedQueryAttention&, const std::string& x);

// What transformers takes where the config is silent.
struct HeadDefaults {
  std::int64_t head_dim = 0;  // 0: hidden / heads
  std::int64_t kv_heads = 0;  // 0: heads
  double rope_theta = 10000.0;
  std::optional<double> rotary_part = {};  // RotaryDefaults::part
  bool tempered = false;                   // llama_4_scaling_beta has to be there
};
// Heads and rotation from num_attention_heads, num_key_value_heads, head_dim and the keys of read_rotary; the rest is
// the family's. What transformers fills in is noted in the model.
GroupedQueryAttention read_grouped_query_attention(const JsonNode& config, const HeadDefaults&, ModelSpec&);
// MiniMax's rotary_dim, the elements of a head that are turned. It counts where partial_rotary_factor is absent, inside
// and outside of rope_parameters.
void read_rotary_dim(const JsonNode& config, GroupedQueryAttention&);

}  // namespace layercost

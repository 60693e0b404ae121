// ministral3: mistral whose queries are multiplied by a temperature, 1 + llama_4_scaling_beta times the logarithm of 1
// + how many times original_max_position_embeddings went by, both of rope_parameters; no window unless one is given.
// Published as the language part of mistral3.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const GroupedQueryAttention a =
      read_grouped_query_attention(config, {.head_dim = 128, .kv_heads = 8, .rope_theta = 1e4, .tempered = true}, m);
  const std::vector<std::int64_t> windows(static_cast<std::size_t>(m.layers),
                                          config.find_int("sliding_window", 1, kMaxPositions).value_or(0));
  expect_layer_types(config, m, windows);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn)};
  add_decoder_layers(m, a, mlp, windows);
}

}  // namespace

extern const Family ministral3_family;
const Family ministral3_family{"ministral3", "Ministral3", 1e-5, read};

}  // namespace layercost

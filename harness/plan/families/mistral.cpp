// mistral: dense, no biases; a window in every layer, if there is one: an absent (not null) sliding_window is 4096. The
// language part of Mistral Small 3 (mistral3) says so, too.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 8, .rope_theta = 1e4}, m);
  const std::vector<std::int64_t> windows(static_cast<std::size_t>(m.layers), read_default_window(config, m));
  expect_layer_types(config, m, windows);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn)};
  add_decoder_layers(m, a, mlp, windows);
}

}  // namespace

extern const Family mistral_family;
const Family mistral_family{"mistral", "Mistral", 1e-6, read};

}  // namespace layercost

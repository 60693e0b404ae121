// recipe_family: dense, grouped-query attention without biases; the MLP's width stands under a key that no other family
// reads.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const GroupedQueryAttention a = read_grouped_query_attention(config, {.rope_theta = 1e4}, m);
  const DenseMlp mlp{.ffn_hidden = config.get_int("recipe_width", 1, kMaxFfn)};
  for (std::int64_t i = 0; i < m.layers; ++i) add_decoder_layer(m, a, mlp);
}

}  // namespace

extern const Family recipe_family_family;
const Family recipe_family_family{"recipe_family", "Llama", 1e-6, read};

}  // namespace layercost

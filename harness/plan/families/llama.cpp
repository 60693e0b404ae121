// llama: dense, grouped-query attention; `attention_bias` reaches q, k, v and o, `mlp_bias` all of the MLP. A
// sliding_window in the config has no meaning here.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.rope_theta = 1e4}, m);
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(false);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn),
                     .bias = config.find_bool("mlp_bias").value_or(false)};
  if (config.find("sliding_window"))
    m.notes.push_back("sliding_window is ignored: transformers' classes of model_type llama have none");
  expect_layer_types(config, m, std::vector<std::int64_t>(static_cast<std::size_t>(m.layers)));
  for (std::int64_t i = 0; i < m.layers; ++i) add_decoder_layer(m, a, mlp);
}

}  // namespace

extern const Family llama_family;
const Family llama_family{"llama", "Llama", 1e-6, read};

}  // namespace layercost

// ministral: mistral with a window in some layers only, which layer_types names; without it in every layer, if there is
// a window. transformers cannot run it without head_dim.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  config.get_int("head_dim", 2, kMaxHeadDim);
  const GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 8, .rope_theta = 1e4}, m);
  const std::int64_t window = read_default_window(config, m);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn)};
  add_decoder_layers(m, a, mlp, read_typed_windows(config, m, window, [&](std::int64_t) { return window > 0; }));
}

}  // namespace

extern const Family ministral_family;
const Family ministral_family{"ministral", "Ministral", 1e-6, read};

}  // namespace layercost

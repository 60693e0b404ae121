// qwen2: dense; biases on q, k and v, never on o.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a = read_grouped_query_attention(config, {.kv_heads = 32, .rope_theta = 1e4}, m);
  a.qkv_bias = true;
  const std::vector<std::int64_t> windows = read_upper_windows(config, m);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn)};
  add_decoder_layers(m, a, mlp, windows);
}

}  // namespace

extern const Family qwen2_family;
constexpr std::string_view kMultimodal[] = {"qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"};
const Family qwen2_family{"qwen2", "Qwen2", 1e-6, read, kMultimodal};

}  // namespace layercost

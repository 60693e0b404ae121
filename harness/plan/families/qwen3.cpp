// qwen3: dense; norms on each head of q and k; an absent head_dim is 128, not hidden / heads.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention a =
      read_grouped_query_attention(config, {.head_dim = 128, .kv_heads = 32, .rope_theta = 1e4}, m);
  a.qkv_bias = a.o_bias = config.find_bool("attention_bias").value_or(false);
  a.qk_norm = "1";
  if (!config.find_bool("use_qk_norm").value_or(true))
    config.fail("use_qk_norm", "model_type qwen3 always norms q and k; expected true or no such key");
  const std::vector<std::int64_t> windows = read_upper_windows(config, m);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn)};
  add_decoder_layers(m, a, mlp, windows);
}

}  // namespace

extern const Family qwen3_family;
constexpr std::string_view kMultimodal[] = {"qwen3_vl_text"};
const Family qwen3_family{"qwen3", "Qwen3", 1e-6, read, kMultimodal};

}  // namespace layercost

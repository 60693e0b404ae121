// qwen3_5_moe: qwen3_5's attention; experts and a gated shared one in every layer, weights always renormalised.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/hybrid_attention.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const std::vector<Attention> attention = read_hybrid_attention(config, {}, m);
  const Mixture e = read_gated_mixture(config);
  if (!config.find_bool("norm_topk_prob").value_or(true))
    config.fail("norm_topk_prob", "model_type qwen3_5_moe always renormalises; expected true or no such key");
  if (const auto dense = config.find("mlp_only_layers"); dense && !dense->as_list().empty())
    dense->fail("model_type qwen3_5_moe has experts in every layer; expected an empty list or no such key");
  for (const Attention& a : attention) add_decoder_layer(m, a, e);
  read_mtp_layers(config, attention, e, m);
}

}  // namespace

extern const Family qwen3_5_moe_family;
constexpr std::string_view kSame[] = {"qwen3_5_moe_text"};
const Family qwen3_5_moe_family{.model_type = "qwen3_5_moe",
                                .class_prefix = "Qwen3_5Moe",
                                .default_rms_norm_eps = 1e-6,
                                .read = read,
                                .aliases = kSame};

}  // namespace layercost

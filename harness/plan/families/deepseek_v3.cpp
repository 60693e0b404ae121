// deepseek_v3: as deepseek_v2, with a sigmoid router: a bias corrects the choice, a group counts its two best biased
// scores, weights are unbiased, renormalised (norm_topk_prob) and scaled. Kimi-K2's files say kimi_k2 and name the same
// classes.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  LatentAttention a = read_latent_attention(config, m);
  a.rotary.interleaved = config.find_bool("rope_interleave").value_or(true);
  Mixture e{.sigmoid = true, .correction_bias = true};
  e.experts = read_expert_count(config, "n_routed_experts", "num_local_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  e.renormalise = config.find_bool("norm_topk_prob").value_or(true);
  e.scaling = config.find_number("routed_scaling_factor", 1e-6, 1e6).value_or(2.5);
  expect_word(config, "scoring_func", {"sigmoid"}, "sigmoid");
  expect_word(config, "topk_method", {"noaux_tc"}, "noaux_tc");
  read_expert_groups(config, {8, 4}, e);
  e.shared_ffn = read_shared_experts(config) * e.ffn_hidden;
  add_dense_then_experts(config, 3, a, false, e, m);
}

}  // namespace

extern const Family deepseek_v3_family;
constexpr std::string_view kSame[] = {"kimi_k2"};
const Family deepseek_v3_family{.model_type = "deepseek_v3",
                                .class_prefix = "DeepseekV3",
                                .default_rms_norm_eps = 1e-6,
                                .read = read,
                                .aliases = kSame};

}  // namespace layercost

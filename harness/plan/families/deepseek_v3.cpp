// deepseek_v3: as deepseek_v2, with a sigmoid router: a bias corrects the choice, a group counts its two best biased
// scores, weights are unbiased, renormalised (norm_topk_prob) and scaled. Kimi-K2's files say kimi_k2 and name the same
// classes.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  LatentAttention a = read_latent_attention(config, m);
  a.rotary.interleaved = config.find_bool("rope_interleave").value_or(true);
  const Mixture e = read_biased_mixture(config, {.groups = {8, 4}, .scaling = 2.5});
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

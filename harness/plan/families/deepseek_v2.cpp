// deepseek_v2: latent attention, neighbours turned; dense layers first, then experts beside shared ones. Weights are
// the softmax's own: norm_topk_prob changes nothing in transformers. A group counts its best expert. mlp_bias reaches
// dense and shared, not the routed experts.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const LatentAttention a = read_latent_attention(config, m);
  const bool bias = config.find_bool("mlp_bias").value_or(false);
  Mixture e;
  e.experts = read_expert_count(config, "n_routed_experts", "num_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  e.renormalise = false;
  if (config.find_bool("norm_topk_prob").value_or(false))
    m.notes.push_back("norm_topk_prob is ignored: transformers never renormalises in deepseek_v2");
  e.scaling = config.find_number("routed_scaling_factor", 1e-6, 1e6).value_or(1.0);
  expect_word(config, "scoring_func", {"softmax"}, "softmax");
  const std::vector<std::string> methods = {"greedy", "group_limited_greedy"};
  if (expect_word(config, "topk_method", methods, "greedy") == "group_limited_greedy") {
    e.group_by_best = true;
    read_expert_groups(config, {}, e);
  } else if (config.find_int("n_group", 1, kMaxExperts).value_or(1) > 1) {
    m.notes.push_back("n_group and topk_group are ignored: topk_method greedy knows no groups");
  }
  e.shared_ffn = read_shared_experts(config) * e.ffn_hidden;
  e.shared_bias = bias;
  add_dense_then_experts(config, 0, a, bias, e, m);
}

}  // namespace

extern const Family deepseek_v2_family;
const Family deepseek_v2_family{"deepseek_v2", "DeepseekV2", 1e-6, read};

}  // namespace layercost

// What:    a mixture of experts: a router chooses top_k of the experts for each token; their gated MLPs, weighted, and
//          the residual are the result. A shared expert is one that every token uses; several of them are one of
//          their widths' sum.
// Layer:   router -> route -> [shared gate_up -> shared glu -> [shared gate ->] shared down ->] experts + residual
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/layer_builder.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct Mixture {
  std::int64_t experts = 0, top_k = 0;
  std::int64_t ffn_hidden = 0;              // width of one expert
  bool renormalise = true;                  // weights of the chosen experts are divided by their sum
  bool sigmoid = false;                     // of scores; else softmax
  bool correction_bias = false;             // <prefix>.<correction> is added to the scores for the choice alone
  std::int64_t groups = 1, top_groups = 1;  // of experts; only those of the best groups can be chosen
  bool group_by_best = false;               // a group counts its best score; else the sum of its two best
  double scaling = 1;                       // of the weights
  std::int64_t shared_ffn = 0;              // width of the shared experts; 0: none
  bool shared_bias = false;
  bool router_bias = false;       // <prefix>.<router>.bias, in the logits
  bool expert_biases = false;     // <prefix>.experts.E.<gate>.bias, ...
  bool weigh_input = false;       // an expert sees the token times its weight; else its result is multiplied
  std::string expert_scale = {};  // of each expert's weight, a tensor's name
  std::string act = "silu";
  double limit = 0;              // of the clamped activation (kernels/contract/glu_act.h); 0: silu
  std::string shared_gate = {};  // <prefix>.<shared_gate>: DenseMlp::gated_by
  // Names of the tensors below "model.layers.N.", where an empty prefix has no dot: <prefix>.<router>.weight,
  // <prefix>.experts.E.<gate>.weight, ...; <prefix>.<shared>.<gate>.weight, ...
  std::string prefix = "mlp", gate = "gate_proj", up = "up_proj", down = "down_proj";
  std::string router = "gate", shared = "shared_experts";
  std::string correction = "gate.e_score_correction_bias";
  bool correction_is_row = false;  // stored as [1, experts]
};

// x [tokens, hidden]; y = residual ("": none) + the experts' part, both of that shape. router_x: what the router sees,
// if not x.
void mixture(LayerBuilder&, const Mixture&, const std::string& x, const std::string& residual, const std::string& y,
             const std::string& router_x = {});

// The number of experts goes by two names; which is the usual one differs between families, and between transformers 4
// and 5.
std::int64_t read_expert_count(const JsonNode& config, std::string_view usual, std::string_view other);
// n_shared_experts; null: none.
std::int64_t read_shared_experts(const JsonNode& config);
// n_group and topk_group. Where they are absent: `groups` and `top_groups`, if given.
struct GroupDefaults {
  std::int64_t groups = 0, top_groups = 0;
};
void read_expert_groups(const JsonNode& config, const GroupDefaults&, Mixture&);
// Which layers have experts: every decoder_sparse_step-th that mlp_only_layers does not name. mlp_layer_types has to
// say the same.
std::vector<bool> read_stepped_layers(const JsonNode& config, const ModelSpec&);
// deepseek_v3's: sigmoid scores, a bias for the choice, groups, renormalised and scaled weights, shared experts. What a
// family means by absent keys: `defaults`.
struct BiasedMixtureDefaults {
  GroupDefaults groups;
  double scaling = 1;
};
Mixture read_biased_mixture(const JsonNode& config, const BiasedMixtureDefaults& defaults);
// num_experts_per_tok, or a family's own `key` for it (the other name, if there too, has to agree); at most `experts`.
std::int64_t read_top_k(const JsonNode& config, std::int64_t experts, std::string_view key = "num_experts_per_tok");

}  // namespace layercost

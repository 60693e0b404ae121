// What:    the choice of experts and their weights from the router's logits.
// Formula: score[t,e]   = softmax_e(logits[t,:])  or, score=sigmoid,  1 / (1 + exp(-logits[t,e]))
//          choice[t,e]  = score[t,e] + bias[e]                  (bias=1; without it the order is that of the logits)
//          groups=G top_groups=T: the experts form G groups of experts / G consecutive ones. A group counts the sum of
//                         its two best scores (choices with bias=1; of one expert, that one) or, group_score=max, its
//                         best one, and only experts of the T best groups can be chosen; of equal groups the lower
//                         index
//          ids[t,:]     = the top_k largest choices, in descending order; of equals the lower index first
//          weights[t,j] = scaling * score[t, ids[t,j]]  ( / sum_j of the same, renormalise=1; sigmoid: / (sum + 1e-20))
//                         ( * expert_scale[ids[t,j]], expert_scale=1)
//          counts[e]    = how often e occurs in ids
//          forced=1: ids = forced_ids, and weights are gathered there. The choice is made all the same and thrown away:
//          its time belongs to every run, whoever sets the load.
// Shapes:  logits [tokens, experts]; bias, expert_scale [experts]; forced_ids [tokens, top_k], distinct in a row;
//          ids, weights [tokens, top_k]; counts [experts].
// Types:   x_type (logits): f32 or bf16; bias, expert_scale, weights f32; ids, forced_ids, counts i32. Arithmetic in
//          f32.
// Cost:    4 flops per logit (softmax: maximum, subtract, exp, add; sigmoid: negate, exp, add, divide), 1 more with
//          bias; the comparisons of the choice are not counted.
// Axes:    tokens experts top_k renormalise=0|1 [forced=0|1] [score=softmax|sigmoid] [bias=0|1] [groups top_groups]
//          [group_score=top2|max] [scaling] [expert_scale=0|1] x_type
// Tolerance: weights usual, a sum of `experts` terms; ids and counts are exact. With bias or groups sums of rounded
//          scores are compared: the order is defined where they differ by more than a few 2^-24, or not at all.
// Errors:  BadCase unless top_k <= experts, groups divides experts, top_groups <= groups, and the chosen groups hold
//          top_k experts.
// Source:  the routers of Mixtral (renormalise=1), Qwen3-MoE and OLMoE (norm_topk_prob), DeepSeek-V3 and GLM-4.5
//          (sigmoid, bias, groups, routed_scaling_factor), DeepSeek-V2 (softmax, groups by their best) and ERNIE 4.5
//          (softmax with bias) in transformers 5; expert_scale: Gemma 4 there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef moe_route_op;

struct MoeRouteAxes {
  std::int64_t tokens, experts, top_k;
  bool renormalise, forced;
  bool sigmoid, bias, expert_scale;
  std::int64_t groups, top_groups;  // 1, 1: no groups
  bool group_by_best;               // else by the sum of its two best
  double scaling;

  std::int64_t group_size() const { return experts / groups; }
};
MoeRouteAxes moe_route_axes(const OpCase&);
}  // namespace layercost

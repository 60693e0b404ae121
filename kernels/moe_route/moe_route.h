// What:    the choice of experts and their weights from the router's logits, softmax form.
// Formula: ids[t,:]     = the top_k experts with the largest logits[t,:], in descending order; of equals the lower
//                         index first
//          weights[t,j] = softmax_e(logits[t,:])[ids[t,j]]  ( / sum_j of the same, renormalise=1)
//          counts[e]    = how often e occurs in ids
//          forced=1: ids = forced_ids, and weights are gathered there. The choice is made all the same and thrown away:
//          its time belongs to every run, whoever sets the load.
// Shapes:  logits [tokens, experts]; forced_ids [tokens, top_k], distinct in a row; ids, weights [tokens, top_k];
//          counts [experts].
// Types:   x_type (logits): f32 or bf16; weights f32; ids, forced_ids, counts i32. Arithmetic in f32.
// Cost:    4 flops per logit (maximum, subtract, exp, add); the comparisons of the choice are not counted.
// Axes:    tokens experts top_k renormalise=0|1 [forced=0|1] x_type
// Tolerance: weights usual, a sum of `experts` terms; ids and counts are exact.
// Errors:  BadCase unless top_k <= experts.
// Source:  the routers of Mixtral (renormalise=1), Qwen3-MoE and OLMoE (norm_topk_prob) in transformers 5.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef moe_route_op;

struct MoeRouteAxes {
  std::int64_t tokens, experts, top_k;
  bool renormalise, forced;
};
MoeRouteAxes moe_route_axes(const OpCase&);
}  // namespace layercost

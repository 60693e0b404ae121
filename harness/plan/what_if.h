// What:    models that nobody trained: a model with one block of its layers exchanged, all else as it is. Weights are
//          synthetic, so such a model can be measured like any other; what its answers would be worth is not asked.
// Names:   behind the model's, before @tpN: "qwen3-30b-a3b@twin2", "deepseek-v2-lite@dense@mha".
//            @twinQ     instead of router, experts and shared experts an MLP, as wide as makes the active parameters Q
//                       times the model's (counts.h: with the head, without the embedding)
//            @dense     the same MLP, as wide as makes all parameters as many as the model's
//            @unshared  the experts without the shared ones beside them
//            @mha       of grouped-query attention: as many key and value heads as heads; of latent attention: heads
//                       of v_head_dim elements with keys and values of their own, cached whole
// Widths:  of such an MLP multiples of 256, the largest block of codes that shares scales (q4_k): a twin exists in
//          every weight format, and ranks can share it. Of qwen3-30b-a3b a step is 2.5 % of the active parameters,
//          so that Q is met within 1.3 %; what was reached stands in the model's notes and counts.
// Formats: of a quantised config the MLP has that of the experts; heads that were latent have the output projection's.
// Without: layers for multi-token prediction; an id, for nobody publishes it.
// Errors:  BadInput for a model without what is to be exchanged, one whose layers are not made of blocks that can be
//          (ModelSpec::kinds without `blocks`), and a Q that no width comes near, with the nearest that there is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/plan/model.h"

namespace layercost {

// "name@twin2" as "name" and "twin2"; empty where the last mark is none of the above.
std::optional<std::pair<std::string, std::string>> split_change(const std::string& name);
// The model with one change: "twin2", "dense", ...
ModelSpec what_if(const ModelSpec&, const std::string& change);
// "2" or "1.5" as a change: "twin2". BadInput where it is no number above 0.
std::string twin_change(const std::string& q);
// What is measured one after the other from a dense transformer with heads of its own to the model as it is: the model
// itself last. Steps that would change nothing are left out.
std::vector<ModelSpec> ladder(const ModelSpec&);

}  // namespace layercost

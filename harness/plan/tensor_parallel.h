// What:    a model as one rank of several runs it that share every layer (tensor parallelism): its part of the heads
// (of
//          key heads fewer than ranks one, which several ranks hold), of the columns in which an MLP or an expert is
//          wide, and of the LM head's rows; norms, routers, latents and the stream are whole on every rank.
// Formula: each block ends in a product with the rank's columns of a matrix, and the sum over the ranks is what the
//          whole layer adds. What is added once (the residual, a bias behind such a product) is the first rank's.
// With:    experts that are shared among devices (expert_parallel.h), a multiple of the N ranks: experts are whole
//          then. The ranks of a group have the same tokens; each sends the rows of its N-th of them, and what
//          comes back goes to all.
// Left out: the exchange itself (collectives_of says what it moves), and waiting for a rank that is late.
// Errors:  BadInput where the ranks do not divide heads or widths, or where a norm goes over all heads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/plan/model.h"

namespace layercost {

// rank: which of them; what a run measures is the first. devices: that share the experts, too (1: the ranks do).
ModelSpec share_layers(const ModelSpec&, std::int64_t ranks, std::int64_t rank = 0, std::int64_t devices = 1);

// What one rank sends in a step, and receives, by ring algorithms: an all-reduce of the stream for each partial sum, 2
// (N - 1) / N of it in the activations' type; of the logits, f32, an all-gather, (N - 1) / N of them. Empty for a whole
// model.
struct Collective {
  std::string name;  // "all_reduce", "all_gather"
  std::int64_t count = 0;
  double bytes = 0;  // of all of them
};
std::vector<Collective> collectives_of(const ModelSpec&, const StepShape&);
// "3.2 MB in 160 all-reduces of partial sums and 0.5 MB in an all-gather of logits".
std::string collectives_text(const std::vector<Collective>&);

}  // namespace layercost

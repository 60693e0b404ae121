// What:    cheap against fast: over batch, what a million new tokens cost and how fast each user gets them. Of decode
//          points of one model in one choice of types, routing and context on one machine.
// Formula: tokens_per_s_user = 1 / time of a step (every sequence gets one token)
//          tokens_per_usd    = 1e6 / usd_per_mtok
//          on the frontier: no other point that fits is at least as fast for a user and at least as cheap, and better
//          in one of the two. At one price per hour cheaper is more tokens per second, so it needs no price.
// Rules:   a point that does not fit this machine is on no frontier and is no answer: it is hypothetical. One that is
//          withheld has no time.
// Units:   tokens/s, USD per million tokens.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "harness/cost/summary.h"

namespace layercost {

// Fills the rows' tokens_per_s_user, tokens_per_usd and on_frontier. Called by summarise().
void mark_frontier(std::vector<ModelRow>& models);

// Decode points that share all but the batch, fastest for a user first; only those with a time. In the file's order.
struct Frontier {
  std::vector<const ModelRow*> points;
  // The measured wait for the first token: the smallest batch of the longest prompt of this model in these types.
  const ModelRow* first_token = nullptr;
};
std::vector<Frontier> frontiers(const Summary& summary);

enum class Keeps { yes, no, cannot_tell };  // the last: the limit lies in the interval, or there is none and it is met
Keeps keeps(const ModelRow& point, double min_tokens_per_s_user);

struct Choice {
  const ModelRow* point = nullptr;    // the cheapest that fits and keeps the limit; null if none does
  const ModelRow* perhaps = nullptr;  // a cheaper one of which that cannot be told; null if there is none
};
Choice cheapest(const Frontier& frontier, double min_tokens_per_s_user);

}  // namespace layercost

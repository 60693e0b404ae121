// What:    for a pair (dense D, mixture-of-experts M): how much cheaper M should be, could be and is.
// Formula: promised = active parameters D / active parameters M
//          possible, paid: cost/point_ratio.h, of D over M
//          like: cost/likeness.h, which comparison the pair is at that point
//          crossover: the first batch, going up, where paid <= 1. Between it and the batch before, ln(paid) is taken as
//                     linear in ln(batch).
//          of the layers alone, where the file has peers: possible and paid without the head, paid once for every
//                     implementation, ours and each peer's, by the same formula from that implementation's times
// Withheld: paid on a GPU where the run found no cuBLASLt, or computed a dense product by a variant behind it untried.
// Means:   4.0 = the MoE costs a quarter; 1 = no difference. Both sides do the same task (same_task of scenario.h).
// Errors:  nothing is guessed: what is not measured on both sides is absent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/cost/likeness.h"
#include "harness/cost/point_ratio.h"
#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

std::string_view to_string(Payoff);  // "MoE cheaper", ...

struct TradeoffRow : ScenarioRecord {  // the MoE's
  std::string dense, moe;
  std::optional<double> promised, possible;
  std::optional<Ratio> paid;
  std::optional<Payoff> verdict;     // absent without paid; cannot_tell without an interval
  std::string why;                   // when paid is absent
  std::optional<double> possible_layers = {};
  std::vector<PaidBy> layers = {};   // ours first; empty without peers
  Likeness like = {};
};

// Where paid falls to 1 along what was measured: batches, or sizes of a twin (cost/twins.h).
enum class CrossoverKind {
  between,        // interpolated between below and above
  from_smallest,  // already at the smallest measured
  not_reached,    // not even at the largest
};
std::string_view to_string(CrossoverKind);  // "between", ...
// Between two of them, paid on different sides of 1: ln(paid) is taken as linear in ln(at).
double crossing(double at, double paid, double next_at, double next_paid);

struct Crossover {
  ScenarioRecord of;                       // the MoE's, of some batch
  std::string dense, moe;
  CrossoverKind kind = CrossoverKind::not_reached;
  std::optional<double> batch;             // between
  std::int64_t below = 0, above = 0;       // neighbours; of the other kinds the smallest and the largest batch measured
};

std::vector<TradeoffRow> tradeoffs(const ResultFile& file);
// One per group of rows that differ in batch alone; groups with a single batch have none.
std::vector<Crossover> crossovers(const std::vector<TradeoffRow>& rows);
// The rows with our layers' possible, paid and verdict in place of the whole model's; none without peers.
std::vector<TradeoffRow> of_layers_alone(const std::vector<TradeoffRow>& rows);

}  // namespace layercost

// What:    from which size on a dense model that nobody trained costs more than a mixture of experts: twins of one
//          mixture ("m@twin1", "m@twin2": plan/what_if.h) held against it at every point, and between them the size at
//          which both cost the same. Whether a dense model of q times the active parameters answers as well is not
//          measured: the reader sets q, and reads what is cheaper there.
// Formula: q = active parameters of the twin / of the mixture, as reached (TradeoffRow::promised)
//          paid: cost/tradeoff.h, of the twin over the mixture; it grows with q
//          isoline: the q where paid = 1. From the largest q down the first where paid <= 1; between it and the one
//                   above, ln(paid) is taken as linear in ln(q). Above the isoline the mixture is cheaper.
//          its interval: the same of the ends of paid's 95 % intervals, where both reach 1 between measured twins
// Errors:  nothing is guessed: where no twin was measured there is no isoline.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/cost/tradeoff.h"

namespace layercost {

struct TwinSize {
  std::string change;              // "twin2"
  std::optional<double> q;         // reached; absent where the file does not count parameters
  std::optional<Ratio> paid;
  std::optional<Payoff> verdict;
  std::string why;                 // when paid is absent
};

struct Isoline {
  CrossoverKind kind = CrossoverKind::not_reached;  // of q: the mixture is cheaper than the smallest; than none
  std::optional<double> q;          // between
  std::optional<Interval> interval;
  double below = 0, above = 0;      // neighbours; of the other kinds the smallest and the largest q measured
};

struct TwinRow : ScenarioRecord {  // the mixture's
  std::vector<TwinSize> sizes;     // by rising q
  std::optional<Isoline> isoline;
};

// "twin2" where `dense` is such a twin of the mixture, whatever devices share its experts; "" of other models.
std::string twin_of(const std::string& dense, const std::string& moe);
// One for each point of a mixture that stands in a pair with a twin of its own.
std::vector<TwinRow> twin_rows(const std::vector<TradeoffRow>& rows);

}  // namespace layercost

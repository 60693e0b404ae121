// What:    published results held against projections of the same steps: how far above them what the hardware allows
//          lies, and how far off a projection with measured efficiency is. Nothing is tuned on them.
// Formula: time        = sum over the result's steps of times x their time (cost/projection.h)
//          tokens/s    = sequences x counted tokens of each / time, for as many devices as the value is of
//          ratio       = projected / published tokens/s, or published / projected USD: above 1 the projection is faster
//                        or cheaper. Of the hard bound it is never below 1, whatever was published: else the result,
//                        its conditions or a figure is not what it says.
// Units:   as the value: tokens per second, USD per million tokens.
// Errors:  absent times as in cost/projection.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "harness/cost/projection.h"
#include "harness/spec/published_spec.h"

namespace layercost {

struct Held {
  double value = 0;  // in the unit of the published one
  double ratio = 0;
};
struct PublishedFinding {
  std::optional<Held> hard_bound, possible, projected;
  std::vector<std::string> missing;  // why projected is absent where there are results
  std::vector<Label> labels;         // of the ops that projected comes from; empty without
};

struct TimedStep {
  Projection projection;
  double times = 1;
};
// tokens_of_sequence: counted ones (plan/published_steps.h).
PublishedFinding hold_against(const PublishedResult& result, std::span<const TimedStep> steps,
                              double tokens_of_sequence);

}  // namespace layercost

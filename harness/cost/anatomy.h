// What:    what the time of one part (a kind of layer, or the head) is made of: its operations, its work against the
//          machine's limits, and how the router spread tokens over experts. For figures; no headline comes from it.
// Formula: share             time of the operation / sum over the part's operations, from the instrumented pass (T7)
//          possible_fraction median over samples of possible_s of that operation alone (roofline.h) / its time
//          flops_per_byte    flops of all operations / their compulsory bytes, experts at the median of the samples
//          flops_per_s       flops / the part's time (the lean pass, as in the headline)
//          load              tokens of an expert / (tokens of all experts / experts), summed over the draws
// Errors:  absent where a time, a limit or a count of distinct experts is missing; nothing is guessed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

struct OpShare {
  std::string component;
  double time_s = 0, share = 0;
  std::optional<double> possible_fraction;
};
// In the order of the layer; empty unless every operation was timed.
std::vector<OpShare> op_shares(const PartRecord& part);

struct WorkPoint {
  double flops_per_byte = 0, flops_per_s = 0;
};
// `time_s`: of one layer.
std::optional<WorkPoint> work_point(const PartRecord& part, std::optional<double> time_s);

inline constexpr double kLoadStep = 0.25;  // the mean expert has load 1
inline constexpr std::size_t kLoadBins = 17;
// How many experts have a load in [i, i + 1) * kLoadStep; the last bin holds all above. Empty without tokens.
std::vector<std::int64_t> load_histogram(const RoutingRecord& routing);

}  // namespace layercost

// What:    how fast a layer could be on the machine as it was at that moment, and how close the measurement came.
// Formula: bytes of an op  = bytes + bytes_per_distinct_expert * distinct experts of the sample
//          possible_s      = sum over ops of max(flops / flops_per_s, bytes / read_bytes_per_s)
//          hard_bound_s    = max(sum flops / flops_per_s, sum bytes / read_bytes_per_s)
//          possible share  = median over samples of possible_s / time_s, each sample against its own probes: on a
//                            shared machine the bandwidth can double within minutes, and one roof for all would call
//                            half of the samples too good
//          IMPOSSIBLE      if the median over samples of hard_bound_s / time_s is above 1.02
//          A sample that is faster than its hard bound proves its probes wrong, not itself; they are taken again while
//          it is measured (measure/cell.cpp), and what stays impossible is withheld (cost/composition.h). possible_s is
//          what one op after the other can reach; ops that overlap may beat it. Nothing beats hard_bound_s.
// Which:   the roofs are measured by fixed probes right before and after each sample, and a sample's roof is the mean
//          of the two; flops_per_s is of the activations' type, in which
//          products are computed (weights of other formats are decoded on the way).
// Ignores: launch cost, cache hits (bytes are compulsory ones, so none are counted), writes of intermediate results.
// Units:   seconds, flops, bytes.
// Errors:  std::nullopt where a roof or a count of distinct experts is missing: a bound that leaves bytes out is none.
// Source:  Williams, Waterman, Patterson, "Roofline", CACM 2009; TRUST T12 for the 2 %.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "harness/result/record.h"

namespace layercost {

inline constexpr double kRoofExcess = 0.02;

// Mean of the probes before and after. nullopt if a probe is missing.
std::optional<Roofs> roofs_of(const Sample& sample);
// The mean distinct experts of the sample, else of the part; 0 for ops that touch none. nullopt if needed and unknown.
std::optional<double> distinct_experts_of(const PartRecord& part, const Sample& sample);

double possible_s(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts);
double hard_bound_s(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts);

// Whether the sample is faster than the hard bound at these limits: nothing real is, so that they were measured too
// low.
bool contradicts(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts, double time_s);

struct Bounds {
  double possible_fraction = 0;  // 1: one op after the other cannot go faster
  double hard_fraction = 0;
  bool impossible = false;
};
// nullopt: no samples, no ops, or no roofs.
std::optional<Bounds> bounds_of(const PartRecord& part);
// The same share of what the vendor's figures would allow: median over samples of possible_s at them / time_s.
std::optional<double> nominal_fraction(const PartRecord& part, const NominalRecord& nominal);

}  // namespace layercost

// What:    how fast a layer could be on the machine as it was at that moment, and how close the measurement came.
// Formula: bytes of an op  = bytes + bytes_per_distinct_expert * distinct experts of the sample
//          arithmetic of it = (flops - sum of its product_flops) / flops_per_s
//                             + sum over its other arithmetics a of product_flops[a] / product_flops_per_s[a]
//          possible_s      = sum over ops of max(arithmetic, bytes / read_bytes_per_s)
//          hard_bound_s    = max over arithmetics a of (sum flops in a / rate of a), and of sum bytes /
//                            read_bytes_per_s: units for two arithmetics may work at the same time
//          possible share  = median over samples of possible_s / time_s, each sample against its own probes: on a
//                            shared machine the bandwidth can double within minutes, and one roof for all would call
//                            half of the samples too good
//          IMPOSSIBLE      if the median over samples of hard_bound_s / time_s is above 1.02
//          A sample that is faster than its hard bound proves its probes wrong, not itself; they are taken again while
//          it is measured (measure/cell.cpp), and what stays impossible is withheld (cost/composition.h). possible_s is
//          what one op after the other can reach; ops that overlap may beat it. Nothing beats hard_bound_s.
// Which:   the roofs are measured by fixed probes right before and after each sample, and a sample's roof is the mean
//          of the two; flops_per_s is of the activations' type. What an op multiplies in another arithmetic (weights of
//          a format with scales, f32 where activations are bf16) has a rate of its own: products of q8_0 may be faster
//          than those of bf16 or slower. Files before 1.5 and the vendor's figures know one rate for all.
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

// Mean of the probes before and after, and of each arithmetic that both know. nullopt if a probe is missing.
std::optional<Roofs> roofs_of(const Sample& sample);
// The mean distinct experts of the sample, else of the part; 0 for ops that touch none. nullopt if needed and unknown.
std::optional<double> distinct_experts_of(const PartRecord& part, const Sample& sample);
// The mean of that over the part's samples; nullopt if one is, or without samples.
std::optional<double> distinct_experts_of(const PartRecord& part);

// Whether every arithmetic of the ops has its rate; without one there is no bound.
bool know_rates(const Roofs& roofs, std::span<const OpRecord> ops);

// An arithmetic without a rate of its own counts at flops_per_s.
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

// What:    a whole model's step from the times of its parts, and the check whether layers may be added up at all.
// Formula: time_s      = sum over parts of count * time of one layer (the head counts once)
//          interval    round level: y_r = sum over parts of count * (median of the part's round r), over the rounds
//                      that all parts share, on the logarithm as of one part (stats.h). A sum inside each round keeps
//                      what the parts of a round have in common (a slow neighbour) inside the interval.
//          possible_s  = sum over parts of count * (possible share * time of one layer)
//          tokens/s    decode: batch / time_s (one new token per sequence); prefill: tokens / time_s
//          depth fit   T_i = a + b * depth_i by least squares; residual = max |T_i - fit_i| / T_i
//          off layer   |(a + b x count) / (count x time of one layer) - 1|: a straight line may still be another one
//          depth spread = max(T_i / depth_i) / min(T_i / depth_i) - 1
// Means:   time_s of decode is the time per output token, of prefill the time to first token. Composed numbers are a
//          layer-derived floor: no scheduler, no sampling, no network, no embedding look-up, no idling.
// Units:   seconds, tokens per second; residual and spread are fractions.
// Withheld: a sum with a part that is IMPOSSIBLE (roofline.h): it is in no headline, ratio, money or verdict.
// Errors:  measured only if every part is; otherwise the outcome and reason of the part that matters most.
// Source:  DESIGN 2 (Plan and stack); TRUST C10: beyond a residual of 5 % the sum is withheld.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

inline constexpr double kAdditivityLimit = 0.05;
// Between the line through the depths and the sum of layers, which were measured minutes apart: by as much may the
// machine's own limits move before a row is labelled (roof_moved).
inline constexpr double kDepthAgreement = 0.1;

// Whether a part has a time that may be used.
bool is_timed(const PartRecord& part);
// Why it has none, in words; "" if it has.
std::string reason_of(const PartRecord& part);

struct Composition {
  Outcome outcome = Outcome::skipped;
  std::string why;
  std::optional<double> time_s;
  std::optional<Interval> time_interval;
  std::optional<double> possible_s, possible_fraction;  // absent if one part has none
  std::optional<double> tokens_per_s;
};
// depths: of the file. Where they show that the point's layers do not add up, the sum is withheld: outcome skipped.
Composition compose(const PointRecord& point, const std::vector<DepthRecord>& depths = {});

// y_r of the formula: rounds that all parts share, in rising order of their index. Empty unless every part is measured.
std::vector<RoundMedian> composed_rounds(const PointRecord& point);

// Tokens that one step yields, for throughput and money.
double tokens_per_step(const PointRecord& point);

struct DepthFit {
  double overhead_s = 0, layer_s = 0;  // a, b
  std::optional<double> residual;      // two depths fit any line, so at least 3
  double spread = 0;
  std::optional<double> off_layer;  // |line at the model's count of layers / (count x the layer's own time) - 1|
  bool is_straight() const { return !residual || *residual <= kAdditivityLimit; }
  bool additive() const { return is_straight() && !(off_layer && *off_layer > kDepthAgreement); }
};
// nullopt for fewer than two different depths. `part`: the layers of that kind in the composition; without it, or with
// a line through two depths, off_layer is absent.
std::optional<DepthFit> fit_depth(const DepthRecord& record, const PartRecord* part = nullptr);
// The part of this point that the record's stacks are of; null if it has no time.
const PartRecord* timed_part(const PointRecord& point, const std::string& kind);

}  // namespace layercost

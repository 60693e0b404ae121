// What:    the statistics of the project, all of them: what a run of samples says, and how sure that is.
//          The unit is the round (fresh allocation, fresh weights, fresh order). Samples inside a round resemble each
//          other, so an interval from pooled samples that claims 95 % covers the truth as rarely as 17 % of the time;
//          one from round medians covers it 94 to 95 % of the time (simulation of TRUST 5.2).
// Formula: median          the middle value; of an even number the mean of the two middle ones
//          quantile(p)     linear between the order statistics around (n-1)p ("type 7", as numpy and R by default)
//          mad             median |x - median|, not scaled
//          variance        Welford's update, divided by n-1; never sum of squares minus squared mean, which returns
//                          0 for 1e9, 1e9+1, 1e9, ...
//          median interval [x_(l), x_(n+1-l)], largest l with sum_{i=l}^{n-l} C(n,i) / 2^n >= 0.95; n >= 6
//          round interval  exp(mean(ln y) -/+ t_{R-1,.975} s / sqrt(R)), y the round medians, s of ln y; R >= 2.
//                          Times are positive and their noise multiplies: an interval of y itself reached below 0 s
//          paired ratio    exp(mean d), d_r = ln(a_r / b_r); interval exp(mean d -/+ t_{R-1,.975} s_d/sqrt(R)); R >= 2
//          settle drift    median of a round's second half / median of its first half - 1; the median over rounds
//          unpaired ratio  exp(mean ln a - mean ln b), of two runs; interval with Welch's standard error and degrees of
//                          freedom, rounded down: sqrt(s_a^2/R_a + s_b^2/R_b)
// Units:   those of the samples; ratios, fractions and drifts are plain numbers (0.01 is 1 %).
// Errors:  std::invalid_argument for no samples, a sample that is NaN or infinite, a ratio of what is not positive.
//          Too few rounds or samples for an interval is no error: std::nullopt.
// Source:  order statistics: H. A. David, Order Statistics, 2.5. t distribution: Abramowitz and Stegun 26.7.3 and
//          26.7.4. Round-level and paired-ratio intervals: Kalibera and Jones, ISMM 2013. Two runs:
//          Welch, Biometrika 34, 1947. Verdicts: TRUST 5.3.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

// Default width of "the same": a ratio within 1 % of 1 (TRUST 12, equivalence_band).
inline constexpr double kEquivalenceBand = 0.01;
// A part is `drifting` when its settle drift is larger than this (TRUST 12, settle_band).
inline constexpr double kSettleBand = 0.01;
// What a headline needs; fewer is `preliminary` (S1).
inline constexpr std::int64_t kRoundsForHeadline = 10;
inline constexpr std::int64_t kSamplesForHeadline = 30;

struct Interval {
  double low = 0, high = 0;
};

double median(std::span<const double> values);
double quantile(std::span<const double> values, double p);  // p in 0..1
double mad(std::span<const double> values);

struct Moments {
  std::int64_t count = 0;
  double mean = 0;
  std::optional<double> variance;  // absent for one value
};
Moments moments(std::span<const double> values);

// Ranks count from 1. nullopt below n = 6, where even [min, max] covers less than 95 %.
struct MedianRanks {
  std::int64_t low = 0, high = 0;
  double coverage = 0;
};
std::optional<MedianRanks> median_ranks(std::int64_t n);
// Only for values that are independent of each other; samples of one round are not.
std::optional<Interval> median_interval(std::span<const double> values);

// The t with 97.5 % of the distribution below it; degrees >= 1.
double student_t_975(std::int64_t degrees);
std::optional<Interval> mean_interval(std::span<const double> values);
// Of positive values, on their logarithm: both ends are positive.
std::optional<Interval> log_mean_interval(std::span<const double> values);

// The time of one layer, from all that was seen. The headline is `median`, its interval is `interval`.
struct TimeSummary {
  double median = 0;                                         // of the round medians
  std::optional<Interval> interval;                          // round level; absent for one round
  double min = 0, max = 0, mean = 0, mad = 0;                // over all samples
  std::int64_t rounds = 0, samples = 0, fewest_samples = 0;  // fewest_samples: in the shortest round
};
std::optional<TimeSummary> summarise_times(const std::vector<Round>& rounds);  // nullopt: no samples
// (index of the round, median of its times), for rounds with samples, in the order of the file.
struct RoundMedian {
  std::int64_t index = 0;
  double time_s = 0;
};
std::vector<RoundMedian> round_medians(const std::vector<Round>& rounds);

struct Ratio {
  double ratio = 0;                  // a / b
  std::optional<Interval> interval;  // absent for one round
  std::int64_t rounds = 0;
};
// a[r] and b[r] are of the same round. nullopt if there are none.
std::optional<Ratio> paired_ratio(std::span<const double> a, std::span<const double> b);

// Of positive values.
Moments log_moments(std::span<const double> values);
// a / b, of moments of logarithms: nullopt without a value on both sides, no interval unless both have two. rounds: of
// the side that has fewer.
std::optional<Ratio> unpaired_ratio(const Moments& log_a, const Moments& log_b);

// Of A against B, from the interval of time A / time B. Inconclusive is never rounded to one of the others.
enum class Comparison { faster, slower, same, inconclusive };
Comparison compare_times(const Interval& ratio, double band = kEquivalenceBand);
std::string_view to_string(Comparison);  // "FASTER", "SLOWER", "SAME", "INCONCLUSIVE"

// nullopt if no round has 4 samples. The middle one of an odd number belongs to neither half.
std::optional<double> settle_drift(const std::vector<Round>& rounds);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/result/stats.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace layercost {
namespace {

void refuse_unusable(std::span<const double> values) {
  if (values.empty()) throw std::invalid_argument("no samples");
  for (const double value : values) {
    if (!std::isfinite(value)) throw std::invalid_argument("a sample is NaN or infinite");
  }
}

std::vector<double> sorted(std::span<const double> values) {
  refuse_unusable(values);
  std::vector<double> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

double middle(const std::vector<double>& ordered) {
  const std::size_t n = ordered.size();
  // Half of each, not half of the sum: two values near the largest double must not overflow.
  return n % 2 == 1 ? ordered[n / 2] : ordered[n / 2 - 1] / 2 + ordered[n / 2] / 2;
}

std::vector<double> times(const Round& round) {
  std::vector<double> values;
  values.reserve(round.samples.size());
  for (const Sample& sample : round.samples) values.push_back(sample.time_s);
  return values;
}

// P(|T| <= t) for a t distribution with a whole number of degrees of freedom: a finite sum.
double student_t_central(double t, std::int64_t degrees) {
  const double theta = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(theta), sine = std::sin(theta);
  const bool odd = degrees % 2 == 1;
  if (degrees == 1) return 2 * theta / std::numbers::pi;
  double term = odd ? cosine : 1, sum = term;
  for (std::int64_t k = odd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= static_cast<double>(k - 1) / static_cast<double>(k) * cosine * cosine;
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (theta + sine * sum) : sine * sum;
}

}  // namespace

double median(std::span<const double> values) { return middle(sorted(values)); }

double quantile(std::span<const double> values, double p) {
  if (!(p >= 0 && p <= 1)) throw std::invalid_argument("a quantile is asked for between 0 and 1");
  const std::vector<double> ordered = sorted(values);
  const double place = p * static_cast<double>(ordered.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= ordered.size()) return ordered.back();
  return std::lerp(ordered[below], ordered[below + 1], place - static_cast<double>(below));
}

double mad(std::span<const double> values) {
  const double centre = median(values);
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(std::abs(value - centre));
  return median(distances);
}

Moments moments(std::span<const double> values) {
  refuse_unusable(values);
  Moments result;
  double squares = 0;
  for (const double value : values) {
    ++result.count;
    const double step = value - result.mean;
    result.mean += step / static_cast<double>(result.count);
    squares += step * (value - result.mean);
  }
  if (result.count > 1) result.variance = squares / static_cast<double>(result.count - 1);
  return result;
}

std::optional<MedianRanks> median_ranks(std::int64_t n) {
  constexpr double kLevel = 0.95;
  if (n < 1) return std::nullopt;
  // 2^-n underflows beyond n = 1074, so each C(n,i) / 2^n is taken from logarithms.
  const double count = static_cast<double>(n);
  const auto share = [&](std::int64_t i) {
    const double k = static_cast<double>(i);
    return std::exp(std::lgamma(count + 1) - std::lgamma(k + 1) - std::lgamma(count - k + 1) -
                    count * std::numbers::ln2);
  };
  std::optional<MedianRanks> best;
  double tail = 0;  // sum over i < l
  for (std::int64_t l = 1; 2 * l <= n; ++l) {
    tail += share(l - 1);
    const double coverage = 1 - 2 * tail;
    if (coverage < kLevel) break;
    best = MedianRanks{l, n + 1 - l, coverage};
  }
  return best;
}

std::optional<Interval> median_interval(std::span<const double> values) {
  const std::vector<double> ordered = sorted(values);
  const auto ranks = median_ranks(static_cast<std::int64_t>(ordered.size()));
  if (!ranks) return std::nullopt;
  return Interval{ordered[static_cast<std::size_t>(ranks->low - 1)],
                  ordered[static_cast<std::size_t>(ranks->high - 1)]};
}

namespace {

double find_student_t_975(std::int64_t degrees) {
  // 1 degree: 12.7; falls to 1.96. Halving 60 times leaves 2^-56 of the interval.
  double low = 1.9, high = 13;
  for (int step = 0; step < 60; ++step) {
    const double t = (low + high) / 2;
    (student_t_central(t, degrees) < 0.95 ? low : high) = t;
  }
  return (low + high) / 2;
}

}  // namespace

double student_t_975(std::int64_t degrees) {
  if (degrees < 1) throw std::invalid_argument("a t distribution has at least one degree of freedom");
  // Two hundred files have 20 000 ratios in every scenario, and a search takes 10 us.
  static const std::vector<double> few = [] {
    std::vector<double> all = {0};
    for (std::int64_t n = 1; n <= 64; ++n) all.push_back(find_student_t_975(n));
    return all;
  }();
  const auto place = static_cast<std::size_t>(degrees);
  return place < few.size() ? few[place] : find_student_t_975(degrees);
}

std::optional<Interval> mean_interval(std::span<const double> values) {
  const Moments m = moments(values);
  if (!m.variance) return std::nullopt;
  const double half = student_t_975(m.count - 1) * std::sqrt(*m.variance / static_cast<double>(m.count));
  return Interval{m.mean - half, m.mean + half};
}

std::optional<Interval> log_mean_interval(std::span<const double> values) {
  std::vector<double> logs;
  for (const double value : values) {
    if (!(value > 0)) throw std::invalid_argument("a logarithm needs positive values");
    logs.push_back(std::log(value));
  }
  const auto interval = mean_interval(logs);
  return interval ? std::optional(Interval{std::exp(interval->low), std::exp(interval->high)}) : std::nullopt;
}

std::vector<RoundMedian> round_medians(const std::vector<Round>& rounds) {
  std::vector<RoundMedian> medians;
  for (const Round& round : rounds) {
    if (!round.samples.empty()) medians.push_back({round.index, median(times(round))});
  }
  return medians;
}

std::optional<TimeSummary> summarise_times(const std::vector<Round>& rounds) {
  std::vector<double> medians, all;
  TimeSummary result;
  for (const Round& round : rounds) {
    if (round.samples.empty()) continue;
    const std::vector<double> values = times(round);
    const auto size = static_cast<std::int64_t>(values.size());
    result.fewest_samples = medians.empty() ? size : std::min(result.fewest_samples, size);
    medians.push_back(median(values));
    all.insert(all.end(), values.begin(), values.end());
  }
  if (all.empty()) return std::nullopt;
  result.median = median(medians);
  result.interval = log_mean_interval(medians);
  result.min = *std::min_element(all.begin(), all.end());
  result.max = *std::max_element(all.begin(), all.end());
  result.mean = moments(all).mean;
  result.mad = mad(all);
  result.rounds = static_cast<std::int64_t>(medians.size());
  result.samples = static_cast<std::int64_t>(all.size());
  return result;
}

std::optional<Ratio> paired_ratio(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) throw std::invalid_argument("a paired ratio needs as many values of A as of B");
  if (a.empty()) return std::nullopt;
  std::vector<double> ratios, logs;
  for (std::size_t r = 0; r < a.size(); ++r) {
    if (!(a[r] > 0 && b[r] > 0)) throw std::invalid_argument("a ratio needs positive values");
    ratios.push_back(a[r] / b[r]);
    logs.push_back(std::log(ratios.back()));
  }
  Ratio result;
  result.ratio = std::exp(moments(logs).mean);
  result.rounds = static_cast<std::int64_t>(logs.size());
  result.interval = log_mean_interval(ratios);
  return result;
}

Moments log_moments(std::span<const double> values) {
  std::vector<double> logs;
  for (const double value : values) {
    if (!(value > 0)) throw std::invalid_argument("a logarithm needs positive values");
    logs.push_back(std::log(value));
  }
  return logs.empty() ? Moments{} : moments(logs);
}

std::optional<Ratio> unpaired_ratio(const Moments& a, const Moments& b) {
  if (a.count == 0 || b.count == 0) return std::nullopt;
  const double difference = a.mean - b.mean;
  Ratio result{std::exp(difference), std::nullopt, std::min(a.count, b.count)};
  if (!a.variance || !b.variance) return result;
  const auto degrees_of = [](const Moments& m) { return static_cast<double>(m.count - 1); };
  const double share_a = *a.variance / static_cast<double>(a.count);
  const double share_b = *b.variance / static_cast<double>(b.count);
  const double square = share_a + share_b;
  double half = 0;
  if (square > 0) {
    const double degrees =
        square * square / (share_a * share_a / degrees_of(a) + share_b * share_b / degrees_of(b));
    half = student_t_975(std::max<std::int64_t>(1, static_cast<std::int64_t>(degrees))) * std::sqrt(square);
  }
  result.interval = Interval{std::exp(difference - half), std::exp(difference + half)};
  return result;
}

Comparison compare_times(const Interval& ratio, double band) {
  if (ratio.high < 1 - band) return Comparison::faster;
  if (ratio.low > 1 + band) return Comparison::slower;
  if (ratio.low >= 1 - band && ratio.high <= 1 + band) return Comparison::same;
  return Comparison::inconclusive;
}

std::string_view to_string(Comparison comparison) {
  switch (comparison) {
    case Comparison::faster:
      return "FASTER";
    case Comparison::slower:
      return "SLOWER";
    case Comparison::same:
      return "SAME";
    case Comparison::inconclusive:
      return "INCONCLUSIVE";
  }
  throw std::invalid_argument("no such comparison");
}

std::optional<double> settle_drift(const std::vector<Round>& rounds) {
  std::vector<double> drifts;
  for (const Round& round : rounds) {
    if (round.samples.size() < 4) continue;
    const std::vector<double> values = times(round);
    const std::span<const double> all(values);
    const std::size_t half = values.size() / 2;
    drifts.push_back(median(all.last(half)) / median(all.first(half)) - 1);
  }
  if (drifts.empty()) return std::nullopt;
  return median(drifts);
}

}  // namespace layercost

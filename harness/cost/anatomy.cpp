// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/anatomy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/result/roofline.h"
#include "harness/result/stats.h"

namespace layercost {
namespace {

std::optional<double> possible_time_s(const OpRecord& op, const PartRecord& part) {
  std::vector<double> times;
  for (const Round& round : part.rounds)
    for (const Sample& sample : round.samples) {
      const auto roofs = roofs_of(sample);
      const auto experts =
          op.bytes_per_distinct_expert == 0 ? std::optional(0.0) : distinct_experts_of(part, sample);
      if (!roofs || !experts || !know_rates(*roofs, {&op, 1})) return {};
      times.push_back(possible_s({&op, 1}, *roofs, *experts));
    }
  return times.empty() ? std::nullopt : std::optional(median(times));
}

}  // namespace

std::vector<OpShare> op_shares(const PartRecord& part) {
  double sum_s = 0;
  for (const OpRecord& op : part.ops) {
    if (!op.time_s || !(*op.time_s > 0)) return {};
    sum_s += *op.time_s;
  }
  std::vector<OpShare> shares;
  for (const OpRecord& op : part.ops) {
    OpShare& share = shares.emplace_back(OpShare{op.component, *op.time_s, *op.time_s / sum_s, {}});
    if (const auto possible = possible_time_s(op, part)) share.possible_fraction = *possible / *op.time_s;
  }
  return shares;
}

std::optional<WorkPoint> work_point(const PartRecord& part, std::optional<double> time_s) {
  std::vector<double> experts;
  for (const Round& round : part.rounds)
    for (const Sample& sample : round.samples) {
      const auto distinct = distinct_experts_of(part, sample);
      if (!distinct) return {};
      experts.push_back(*distinct);
    }
  if (experts.empty() || !time_s || !(*time_s > 0)) return {};
  double flops = 0, bytes = 0;
  for (const OpRecord& op : part.ops) {
    flops += op.flops;
    bytes += op.bytes + op.bytes_per_distinct_expert * median(experts);
  }
  if (!(flops > 0) || !(bytes > 0)) return {};
  return WorkPoint{flops / bytes, flops / *time_s};
}

std::vector<std::int64_t> load_histogram(const RoutingRecord& routing) {
  const double tokens = std::accumulate(routing.histogram.begin(), routing.histogram.end(), 0.0,
                                        [](double sum, std::int64_t n) { return sum + static_cast<double>(n); });
  if (!(tokens > 0)) return {};
  std::vector<std::int64_t> bins(kLoadBins);
  for (const std::int64_t n : routing.histogram) {
    const double load = static_cast<double>(n) / tokens * static_cast<double>(routing.histogram.size());
    ++bins[static_cast<std::size_t>(std::min(std::floor(load / kLoadStep), kLoadBins - 1.0))];
  }
  return bins;
}

}  // namespace layercost

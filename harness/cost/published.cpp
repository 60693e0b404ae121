// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/published.h"

#include <algorithm>
#include <set>

#include "harness/cost/token_cost.h"

namespace layercost {
namespace {

std::vector<Label> labels_of(std::span<const TimedStep> steps) {
  std::set<Label> all;
  for (const TimedStep& step : steps)
    for (const ProjectedPart& part : step.projection.parts)
      for (const ProjectedOp& op : part.ops) all.insert(op.labels.begin(), op.labels.end());
  return {all.begin(), all.end()};
}

}  // namespace

PublishedFinding hold_against(const PublishedResult& r, std::span<const TimedStep> steps, double tokens_of_sequence) {
  PublishedFinding out;
  // Sequences of all devices: a group that has its own has `batch` of them. Every step has them all.
  const Projection& first = steps.front().projection;
  const double tokens_of_first = first.per_user ? 1 : static_cast<double>(r.prompt);
  const double sequences = first.tokens / tokens_of_first;
  const auto held = [&](std::optional<double> Projection::*time) -> std::optional<Held> {
    double sum_s = 0;
    for (const TimedStep& step : steps) {
      if (!(step.projection.*time)) return std::nullopt;
      sum_s += step.times * *(step.projection.*time);
    }
    const double of_one = sequences * tokens_of_sequence / sum_s / static_cast<double>(first.devices);
    if (r.usd_per_mtok) {
      const double usd = usd_per_mtok(*r.usd_per_hour, of_one);
      return Held{usd, *r.usd_per_mtok / usd};
    }
    const double tokens_per_s = of_one * static_cast<double>(r.devices);
    return Held{tokens_per_s, tokens_per_s / *r.tokens_per_s};
  };
  out.hard_bound = held(&Projection::hard_bound_s);
  out.possible = held(&Projection::possible_s);
  out.projected = held(&Projection::projected_s);
  if (out.projected) out.labels = labels_of(steps);
  for (const TimedStep& step : steps)
    for (const std::string& component : step.projection.missing)
      if (std::find(out.missing.begin(), out.missing.end(), component) == out.missing.end())
        out.missing.push_back(component);
  return out;
}

}  // namespace layercost

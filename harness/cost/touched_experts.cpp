// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/touched_experts.h"

#include <cmath>
#include <numeric>

namespace layercost {

double evenly_touched_experts(std::int64_t experts, std::int64_t top_k, std::int64_t tokens) {
  const double all = static_cast<double>(experts);
  return all * (1 - std::pow(1 - static_cast<double>(top_k) / all, static_cast<double>(tokens)));
}

std::vector<TouchedExperts> touched_experts(const PointRecord& point) {
  std::vector<TouchedExperts> all;
  for (const PartRecord& part : point.parts) {
    if (!part.routing || part.routing->draws <= 0 || part.routing->experts <= 0 || part.routing->top_k <= 0) continue;
    const RoutingRecord& routing = *part.routing;
    const auto chosen = std::accumulate(routing.histogram.begin(), routing.histogram.end(), std::int64_t{0});
    all.push_back({point, part.kind, chosen / (routing.draws * routing.top_k), routing.experts, routing.top_k,
                   routing.distinct_experts});
  }
  return all;
}

}  // namespace layercost

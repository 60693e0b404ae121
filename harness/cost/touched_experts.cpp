// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/touched_experts.h"

#include <cmath>

namespace layercost {

double evenly_touched_experts(std::int64_t experts, std::int64_t top_k, std::int64_t tokens) {
  const double all = static_cast<double>(experts);
  return all * (1 - std::pow(1 - static_cast<double>(top_k) / all, static_cast<double>(tokens)));
}

std::vector<TouchedExperts> touched_experts(const PointRecord& point) {
  std::vector<TouchedExperts> all;
  for (const PartRecord& part : point.parts)
    if (part.routing && part.routing->draws > 0 && part.routing->experts > 0)
      all.push_back(
          {point, part.kind, point.tokens, part.routing->experts, part.routing->top_k, part.routing->distinct_experts});
  return all;
}

}  // namespace layercost

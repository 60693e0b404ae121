// SPDX-License-Identifier: Apache-2.0
#include "harness/result/complete.h"
#include "harness/spec/part_name.h"

#include <algorithm>

namespace layercost {

bool is_complete(const ResultFile& file) {
  const PolicyRecord policy = file.policy.value_or(PolicyRecord{.rounds = 1});
  const auto at_its_end = [&](const PartRecord& part) {
    switch (part.outcome) {
      case Outcome::measured:
        return static_cast<std::int64_t>(part.rounds.size()) >= policy.rounds;
      case Outcome::wrong:
      case Outcome::unsupported:
      case Outcome::out_of_memory:
        return true;
      case Outcome::skipped:
        return part.kind == kHeadPart && !policy.head;
      case Outcome::failed:
        return false;
    }
    return false;
  };
  return std::all_of(file.points.begin(), file.points.end(),
                     [&](const PointRecord& point) {
                       return std::all_of(point.parts.begin(), point.parts.end(), at_its_end);
                     }) &&
         (policy.depths.empty() || file.depths.size() >= file.points.size());
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/result/sample_labels.h"

#include <algorithm>
#include <cmath>

#include "harness/result/stats.h"

namespace layercost {
namespace {

bool differ(double a, double b) { return std::abs(a - b) > 0.1 * std::max(a, b); }

bool is_preliminary(const PartRecord& part) {
  return static_cast<std::int64_t>(part.rounds.size()) < kRoundsForHeadline ||
         std::any_of(part.rounds.begin(), part.rounds.end(), [](const Round& round) {
           return static_cast<std::int64_t>(round.samples.size()) < kSamplesForHeadline;
         });
}

bool has_moved_roof(const PartRecord& part) {
  for (const Round& round : part.rounds) {
    for (const Sample& s : round.samples) {
      if (differ(s.roofs_before.read_bytes_per_s, s.roofs_after.read_bytes_per_s) ||
          differ(s.roofs_before.flops_per_s, s.roofs_after.flops_per_s))
        return true;
    }
  }
  return false;
}

bool is_drifting(const PartRecord& part) {
  const auto drift = settle_drift(part.rounds);
  return drift && std::abs(*drift) > kSettleBand;
}

}  // namespace

void label_from_samples(ResultFile& file) {
  for (PointRecord& point : file.points) {
    for (PartRecord& part : point.parts) {
      if (part.outcome != Outcome::measured) continue;
      const auto set = [&](Label label, bool on) {
        const auto at = std::find(part.labels.begin(), part.labels.end(), label);
        if (on && at == part.labels.end()) part.labels.push_back(label);
        if (!on && at != part.labels.end()) part.labels.erase(at);
      };
      set(Label::preliminary, is_preliminary(part));
      set(Label::roof_moved, has_moved_roof(part));
      set(Label::drifting, is_drifting(part));
    }
  }
}

}  // namespace layercost

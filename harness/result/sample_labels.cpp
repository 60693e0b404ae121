// SPDX-License-Identifier: Apache-2.0
#include "harness/result/sample_labels.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>

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

// Of the arithmetics that both know.
bool differ(const Roofs& a, const Roofs& b) {
  return differ(a.read_bytes_per_s, b.read_bytes_per_s) || differ(a.flops_per_s, b.flops_per_s) ||
         std::any_of(a.product_flops_per_s.begin(), a.product_flops_per_s.end(), [&](const auto& rate) {
           const auto other = b.product_flops_per_s.find(rate.first);
           return other != b.product_flops_per_s.end() && differ(rate.second, other->second);
         });
}

bool has_moved_roof(const PartRecord& part) {
  for (const Round& round : part.rounds) {
    for (const Sample& s : round.samples) {
      if (differ(s.roofs_before, s.roofs_after)) return true;
    }
  }
  return false;
}

bool any_round(const PartRecord& part, bool (*holds)(const Round&)) {
  return std::any_of(part.rounds.begin(), part.rounds.end(), holds);
}

template <bool (*kHolds)(const Sample&)>
bool any_sample(const Round& round) {
  return std::any_of(round.samples.begin(), round.samples.end(), kHolds);
}

bool is_short(const Sample& s) { return s.section_s < kSectionMin_s; }

// 20 us: letting the queue go, and hearing of its end.
bool has_gap(const Sample& s) { return s.host_section_s && *s.host_section_s > 1.05 * s.section_s + 20e-6; }

bool has_neighbours(const Round& round) {
  return round.neighbour_cpus.value_or(0) > 0.1 ||
         (round.conditions && round.conditions->other_processes.value_or(0) > 0);
}

bool tells_neighbours(const Round& round) {
  return round.neighbour_cpus || (round.conditions && round.conditions->other_processes);
}

bool seen(const ConditionsRecord& c, std::initializer_list<std::string_view> reasons) {
  return std::find_first_of(c.clock_reasons.begin(), c.clock_reasons.end(), reasons.begin(), reasons.end()) !=
         c.clock_reasons.end();
}

bool is_power_capped(const Round& round) {
  const auto& c = round.conditions;
  return c && (c->power_held_back ? *c->power_held_back > 0.01 : seen(*c, {"power cap"}));
}

bool is_thermal(const Round& round) {
  const auto& c = round.conditions;
  return c && (c->thermal_held_back.value_or(0) > 0 ||
               seen(*c, {"thermal slowdown", "hardware thermal slowdown", "hardware slowdown", "power brake"}));
}

bool is_partly_cached(const PartRecord& part) {
  return part.stack && part.stack->reuse_distance_bytes < 2 * part.stack->last_level_cache_bytes;
}

// A drift that is smaller than what is not known of the time anyway tells nothing.
bool is_drifting(const PartRecord& part) {
  const auto drift = settle_drift(part.rounds);
  if (!drift || std::abs(*drift) <= kSettleBand) return false;
  const auto times = summarise_times(part.rounds);
  return !times->interval || std::abs(*drift) > (times->interval->high - times->interval->low) / times->median;
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
      // Of what files before 1.4 may not tell: where it is not seen, what is said stays.
      const auto add = [&](Label label, bool on) {
        if (on) set(label, true);
      };
      add(Label::cache_partial, is_partly_cached(part));
      add(Label::overhead_bound, any_round(part, any_sample<is_short>));
      const bool all_tell = std::all_of(part.rounds.begin(), part.rounds.end(), tells_neighbours);
      if (all_tell) set(Label::shared, any_round(part, has_neighbours));
      else add(Label::shared, any_round(part, has_neighbours));
      add(Label::queue_gap, any_round(part, any_sample<has_gap>));
      add(Label::power_capped, any_round(part, is_power_capped));
      add(Label::thermal, any_round(part, is_thermal));
      add(Label::best_load_case, part.routing && part.routing->name == "balanced");
      set(Label::preliminary, is_preliminary(part));
      set(Label::roof_moved, has_moved_roof(part));
      set(Label::drifting, is_drifting(part));
    }
  }
}

}  // namespace layercost

// Each label by the smallest change that gives it; the limits stand in sample_labels.h.
// SPDX-License-Identifier: Apache-2.0
#include "harness/result/sample_labels.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

using Labels = std::vector<Label>;

// A headline: 10 rounds of 30 samples of 30 ms, so nothing to say.
ResultFile quiet() {
  ResultFile file = fixture::result_file();
  PartRecord& part = file.points[1].parts[0];
  const Round pattern = part.rounds[0];
  part.rounds.assign(10, pattern);
  for (std::size_t r = 0; r < part.rounds.size(); ++r) {
    part.rounds[r].index = static_cast<std::int64_t>(r);
    part.rounds[r].samples.assign(30, pattern.samples[1]);
  }
  part.labels.clear();
  return file;
}

Labels labels_with(const std::function<void(PartRecord&, Round&)>& change) {
  ResultFile file = quiet();
  PartRecord& part = file.points[1].parts[0];
  change(part, part.rounds[7]);
  label_from_samples(file);
  return part.labels;
}

TEST(SampleLabels, FollowFromWhatIsStored) {
  EXPECT_EQ(labels_with([](PartRecord&, Round&) {}), Labels{});
  const std::pair<Label, std::function<void(PartRecord&, Round&)>> cases[] = {
      {Label::preliminary, [](PartRecord& p, Round&) { p.rounds.pop_back(); }},
      {Label::preliminary, [](PartRecord&, Round& r) { r.samples.pop_back(); }},
      {Label::roof_moved, [](PartRecord&, Round& r) { r.samples[9].roofs_after.flops_per_s *= 0.89; }},
      {Label::roof_moved,
       [](PartRecord&, Round& r) {
         r.samples[9].roofs_before.product_flops_per_s = {{"f32", 100e9}};
         r.samples[9].roofs_after.product_flops_per_s = {{"f32", 89e9}};
       }},
      {Label::cache_partial, [](PartRecord& p, Round&) { p.stack->reuse_distance_bytes = 63e6; }},
      {Label::overhead_bound, [](PartRecord&, Round& r) { r.samples[9].section_s = 499e-6; }},
      {Label::shared, [](PartRecord&, Round& r) { r.neighbour_cpus = 0.11; }},
      {Label::shared, [](PartRecord&, Round& r) { r.conditions.emplace().other_processes = 1; }},
      {Label::queue_gap,
       [](PartRecord&, Round& r) { r.samples[9].host_section_s = 1.051 * r.samples[9].section_s + 20e-6; }},
      {Label::power_capped, [](PartRecord&, Round& r) { r.conditions.emplace().power_held_back = 0.011; }},
      {Label::power_capped, [](PartRecord&, Round& r) { r.conditions.emplace().clock_reasons = {"power cap"}; }},
      {Label::thermal, [](PartRecord&, Round& r) { r.conditions.emplace().thermal_held_back = 1e-6; }},
      {Label::thermal,
       [](PartRecord&, Round& r) {
         r.conditions.emplace().clock_reasons = {"idle", "power brake"};
       }},
      {Label::best_load_case, [](PartRecord& p, Round&) { p.routing->name = "balanced"; }},
  };
  for (const auto& [label, change] : cases) EXPECT_EQ(labels_with(change), Labels{label}) << static_cast<int>(label);
  // Seven rounds whose second half is 2 % slower move the median of the rounds' drifts.
  EXPECT_EQ(labels_with([](PartRecord& p, Round&) {
              for (std::size_t r = 0; r < 7; ++r)
                for (std::size_t s = 15; s < 30; ++s) p.rounds[r].samples[s].time_s *= 1.02;
            }),
            Labels{Label::drifting});
}

// The same seven rounds in the middle of others that differ by a third: what drifts is less than what is not known.
TEST(SampleLabels, ADriftBelowTheIntervalsWidthIsNone) {
  EXPECT_EQ(labels_with([](PartRecord& p, Round&) {
              for (std::size_t r = 0; r < p.rounds.size(); ++r)
                for (std::size_t s = 0; s < 30; ++s)
                  p.rounds[r].samples[s].time_s *= (r < 7 && s >= 15 ? 1.02 : 1) * (r % 2 == 0 ? 1 : 1.33);
            }),
            Labels{});
}

TEST(SampleLabels, StayBelowTheLimits) {
  EXPECT_EQ(labels_with([](PartRecord& p, Round& r) {
              p.stack->reuse_distance_bytes = 64e6;
              r.samples[9].roofs_after.flops_per_s *= 0.91;
              r.samples[9].roofs_before.product_flops_per_s = {{"f32", 100e9}, {"bf16 x q8_0", 1}};
              r.samples[9].roofs_after.product_flops_per_s = {{"f32", 91e9}};
              r.samples[9].section_s = 500e-6;
              r.samples[8].host_section_s = 1.049 * r.samples[8].section_s + 20e-6;
              r.neighbour_cpus = 0.09;
              ConditionsRecord& c = r.conditions.emplace();
              c.other_processes = 0;
              c.power_held_back = 0.009;
              c.clock_reasons = {"power cap"};  // the driver's counter tells more
              c.thermal_held_back = 0;
            }),
            Labels{});
}

// What a file may not tell stays as it is said; what samples tell does not.
TEST(SampleLabels, AreTakenAwayWhereSamplesSayOtherwise) {
  EXPECT_EQ(labels_with([](PartRecord& p, Round&) {
              p.labels = {Label::drifting, Label::shared, Label::preliminary, Label::roof_moved};
            }),
            Labels{});
  EXPECT_EQ(labels_with([](PartRecord& p, Round& r) {
              p.labels = {Label::shared};
              r.neighbour_cpus.reset();  // a round that does not tell
            }),
            Labels{Label::shared});
  EXPECT_EQ(labels_with([](PartRecord& p, Round&) {
              p.outcome = Outcome::skipped;
              p.rounds.clear();
            }),
            Labels{});
}

}  // namespace
}  // namespace layercost

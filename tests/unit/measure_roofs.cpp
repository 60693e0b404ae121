// A probe that a sample contradicts is taken again; one that it does not contradict never is.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "harness/measure/roofs.h"

namespace layercost {
namespace {

// 1 GB in 50 ms: 20 GB/s. Nothing below 19.6 GB/s (2 % less) can be the machine's limit.
std::vector<OpRecord> ops() {
  OpRecord op;
  op.bytes = 1e9;
  op.flops = 1;
  return {op};
}
Sample sample() {
  Sample s;
  s.time_s = 0.05;
  return s;
}

struct Answer {
  double read_bytes_per_s;
  int asked;
};
Answer believed(double probe_bytes_per_s, std::vector<double> next) {
  int asked = 0;
  const Roofs roofs = believable_roofs(ops(), sample(), {probe_bytes_per_s, 1e12}, [&] {
    return Roofs{next.at(static_cast<std::size_t>(asked++)), 1e12};
  });
  return {roofs.read_bytes_per_s, asked};
}

TEST(BelievableRoofs, AProbeThatAllowsTheSampleIsNotTakenAgain) {
  for (const double probe : {19.7e9, 20e9, 90e9}) {
    const Answer a = believed(probe, {});
    EXPECT_EQ(a.read_bytes_per_s, probe);
    EXPECT_EQ(a.asked, 0);
  }
}

TEST(BelievableRoofs, AContradictedProbeIsTakenAgainUntilTheyAgree) {
  const Answer once = believed(14e9, {21e9, 22e9});
  EXPECT_EQ(once.read_bytes_per_s, 21e9);
  EXPECT_EQ(once.asked, 1);
  const Answer twice = believed(19.5e9, {15e9, 20e9});
  EXPECT_EQ(twice.read_bytes_per_s, 20e9);
  EXPECT_EQ(twice.asked, 2);
}

TEST(BelievableRoofs, AfterThreeTheSampleStaysImpossible) {
  const Answer a = believed(14e9, {14e9, 13e9, 12e9, 30e9});
  EXPECT_EQ(a.read_bytes_per_s, 12e9);
  EXPECT_EQ(a.asked, 3);
}

TEST(BelievableRoofs, ExpertsThatTheSampleTouchedCount) {
  OpRecord experts;
  experts.bytes_per_distinct_expert = 0.25e9;
  experts.flops = 1;
  Sample s = sample();
  s.distinct_experts = 4;
  int asked = 0;
  believable_roofs({{experts}}, s, {14e9, 1e12}, [&] {
    ++asked;
    return Roofs{20e9, 1e12};
  });
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace layercost

// What a layer's time is made of, by hand from result_fixture.h: 20 GB/s and 500 GFLOP/s everywhere.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "harness/cost/anatomy.h"
#include "harness/cost/touched_experts.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

TEST(Anatomy, SharesAndDistanceFromTheLimits) {
  PartRecord dense = fixture::result_file().points[0].parts[0];
  EXPECT_TRUE(op_shares(dense).empty());  // no operation was timed
  dense.ops[0].time_s = 0.01;             // attention: 0.1 GB take 5 ms
  EXPECT_TRUE(op_shares(dense).empty());  // one is missing
  dense.ops[1].time_s = 0.05;             // mlp: 0.9 GB take 45 ms
  const std::vector<OpShare> shares = op_shares(dense);
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].component, "attention");
  EXPECT_NEAR(shares[0].share, 1.0 / 6, 1e-12);
  EXPECT_NEAR(shares[1].share, 5.0 / 6, 1e-12);
  EXPECT_NEAR(shares[0].possible_fraction.value(), 0.5, 1e-12);
  EXPECT_NEAR(shares[1].possible_fraction.value(), 0.9, 1e-12);
  dense.ops[1].flops = 24e9;  // now its arithmetic takes 48 ms
  EXPECT_NEAR(op_shares(dense)[1].possible_fraction.value(), 0.96, 1e-12);
}

TEST(Anatomy, ExpertsCountByThoseThatAreTouched) {
  PartRecord moe = fixture::result_file().points[1].parts[0];
  moe.ops[0].time_s = moe.ops[1].time_s = 0.02;  // experts: 2 x 0.1 GB take 10 ms
  EXPECT_NEAR(op_shares(moe)[1].possible_fraction.value(), 0.5, 1e-12);
  const auto work = work_point(moe, 0.025);
  ASSERT_TRUE(work);
  EXPECT_NEAR(work->flops_per_byte, 0.6e9 / 0.3e9, 1e-12);
  EXPECT_NEAR(work->flops_per_s, 0.6e9 / 0.025, 1e-3);
  for (Round& round : moe.rounds)
    for (Sample& sample : round.samples) sample.distinct_experts.reset();
  moe.routing->distinct_experts = 0;
  EXPECT_FALSE(work_point(moe, 0.025));
  EXPECT_FALSE(op_shares(moe)[1].possible_fraction);
  EXPECT_TRUE(op_shares(moe)[0].possible_fraction);  // touches no experts
}

TEST(Anatomy, NothingIsGuessed) {
  PartRecord dense = fixture::result_file().points[0].parts[0];
  EXPECT_FALSE(work_point(dense, std::nullopt));
  dense.rounds.clear();
  EXPECT_FALSE(work_point(dense, 0.1));
  EXPECT_TRUE(load_histogram({}).empty());
}

TEST(Anatomy, LoadsFallIntoQuartersOfTheMean) {
  RoutingRecord routing;
  routing.histogram = {15, 14, 16, 15};  // of 15: 1, 0.93, 1.07, 1
  std::vector<std::int64_t> expected(kLoadBins);
  expected[3] = 1;
  expected[4] = 3;
  EXPECT_EQ(load_histogram(routing), expected);
  routing.histogram = {0, 0, 0, 0, 0, 0, 0, 8};  // 0 and eight times the mean
  expected.assign(kLoadBins, 0);
  expected[0] = 7;
  expected[kLoadBins - 1] = 1;
  EXPECT_EQ(load_histogram(routing), expected);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  routing.histogram = {kMost, kMost};
  EXPECT_EQ(load_histogram(routing)[4], 2);
}

// Two tokens that each choose 2 of 4 miss an expert with a quarter; eight of Qwen3-30B-A3B touch 51.6 of 128.
TEST(TouchedExperts, EvenChoicesOverlap) {
  EXPECT_NEAR(evenly_touched_experts(4, 2, 1), 2, 1e-12);
  EXPECT_NEAR(evenly_touched_experts(4, 2, 2), 3, 1e-12);
  EXPECT_NEAR(evenly_touched_experts(128, 8, 8), 51.62, 0.005);
  const ResultFile file = fixture::result_file();
  EXPECT_TRUE(touched_experts(file.points[0]).empty());
  const std::vector<TouchedExperts> moe = touched_experts(file.points[3]);
  ASSERT_EQ(moe.size(), 1u);
  EXPECT_EQ(moe[0].touched, 4);
  EXPECT_EQ(moe[0].tokens, 8);
  // On one of several devices that share the experts fewer or more tokens choose than the step has.
  ResultFile shared = file;
  shared.points[3].parts[0].routing->histogram = {450, 450, 450, 450};  // 30 draws, 2 experts a token
  EXPECT_EQ(touched_experts(shared.points[3])[0].tokens, 30);
}

}  // namespace
}  // namespace layercost

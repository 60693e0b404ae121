// Ladders on round numbers: a step of the start takes 800 ms, then 400, 100, 125 and 50.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/levers.h"

#include <gtest/gtest.h>

#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

PointRecord point(const std::string& model, double time_s, const char* weights = "bf16") {
  PointRecord p = fixture::point(model, "decode", 1, {fixture::part("dense", 1, time_s, {})});
  p.weight_type = weights;
  return p;
}

ResultFile ladder_file() {
  ResultFile file = fixture::result_file();
  file.points = {point("m", 0.05, "int4_g128"), point("m@unshared", 0.1), point("m@dense", 0.4), point("m", 0.125),
                 point("m@dense@mha", 0.8),     point("other@dense", 9),  point("m@twin2", 9)};
  for (PointRecord& p : file.points)
    if (p.model == "m" || p.model == "m@unshared") p.routing = "uniform";
  return file;
}

// Of the only ladder.
std::vector<std::string> levers_of(const std::vector<LadderRow>& rows) {
  std::vector<std::string> names;
  if (rows.size() == 1)
    for (const LeverStep& step : rows[0].steps) names.push_back(step.lever);
  return names;
}
using Names = std::vector<std::string>;

TEST(Levers, OneAfterTheOther) {
  const auto rows = ladder_rows(ladder_file());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].model, "m");
  EXPECT_EQ(levers_of(rows), (Names{"start", "attention", "experts", "shared experts", "int4_g128"}));
  const double factors[] = {2, 4, 0.8, 2.5}, in_all[] = {2, 8, 6.4, 16};
  EXPECT_FALSE(rows[0].steps[0].factor || rows[0].steps[0].in_all);
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_NEAR(rows[0].steps[i].factor->paid->ratio, factors[i - 1], 1e-12) << i;
    EXPECT_NEAR(rows[0].steps[i].in_all->paid->ratio, in_all[i - 1], 1e-12) << i;
  }
  EXPECT_EQ(rows[0].steps[2].factor->verdict, Payoff::cheaper);
  EXPECT_EQ(rows[0].steps[3].factor->verdict, Payoff::dearer);
}

TEST(Levers, WhatAModelDoesNotHaveIsNoStep) {
  ResultFile file = ladder_file();
  std::erase_if(file.points, [](const PointRecord& p) { return p.model == "m@unshared"; });
  EXPECT_EQ(levers_of(ladder_rows(file)), (Names{"start", "attention", "experts", "int4_g128"}));
  std::erase_if(file.points, [](const PointRecord& p) { return p.model == "m@dense@mha"; });
  EXPECT_EQ(levers_of(ladder_rows(file)), (Names{"start", "experts", "int4_g128"}));
  std::erase_if(file.points, [](const PointRecord& p) { return p.model == "m@dense"; });
  EXPECT_TRUE(ladder_rows(file).empty()) << "formats alone are no ladder";
  file.points.push_back(point("m@mha", 0.8));  // of a dense model
  EXPECT_EQ(levers_of(ladder_rows(file)), (Names{"start", "attention", "int4_g128"}));
}

TEST(Levers, AnotherStepOfTheModelIsAnotherLadder) {
  ResultFile file = ladder_file();
  for (PointRecord& p : file.points)
    if (p.model == "m@dense") p.context = 9;
  EXPECT_TRUE(ladder_rows(file).empty()) << "from the start to the model MLP and attention would change at once";
}

TEST(Levers, NothingIsGuessed) {
  ResultFile file = ladder_file();
  file.points[2].parts[0].outcome = Outcome::out_of_memory;
  file.points[2].parts[0].rounds.clear();
  file.points[2].parts[0].why = "one layer needs 9 GB";
  const auto rows = ladder_rows(file);
  EXPECT_FALSE(rows[0].steps[1].factor->paid || rows[0].steps[2].factor->paid);
  EXPECT_NE(rows[0].steps[1].factor->why.find("one layer needs 9 GB"), std::string::npos);
  EXPECT_NEAR(rows[0].steps[2].in_all->paid->ratio, 8, 1e-12) << "start and experts were measured";
}

}  // namespace
}  // namespace layercost

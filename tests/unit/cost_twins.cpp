// Isolines worked by hand: where paid is 2 at q 4 and 1/2 at q 1, ln(paid) is 0 half way between ln 1 and ln 4, at 2.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/twins.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

TradeoffRow row(const std::string& dense, double q, std::optional<Ratio> paid, std::int64_t batch = 1) {
  TradeoffRow r;
  r.model = r.moe = "m";
  r.dense = dense;
  r.phase = "decode", r.batch = batch, r.context = 1024;
  r.promised = q;
  r.paid = paid;
  if (!paid) r.why = "not reached";
  return r;
}
Ratio paid(double ratio) { return {ratio, std::nullopt, 3}; }
Ratio paid(double ratio, double low, double high) { return {ratio, Interval{low, high}, 3}; }

TEST(Twins, TheIsolineLiesBetweenTwins) {
  const auto rows = twin_rows({row("m@twin4", 4, paid(2)), row("m@twin1", 1, paid(0.5))});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].model, "m");
  ASSERT_EQ(rows[0].sizes.size(), 2u);
  EXPECT_EQ(rows[0].sizes[0].change, "twin1") << "by rising q";
  ASSERT_TRUE(rows[0].isoline);
  EXPECT_EQ(rows[0].isoline->kind, CrossoverKind::between);
  EXPECT_NEAR(*rows[0].isoline->q, 2, 1e-12);
  EXPECT_EQ(rows[0].isoline->below, 1);
  EXPECT_EQ(rows[0].isoline->above, 4);
  EXPECT_FALSE(rows[0].isoline->interval);
  // A third of the way from ln 1 to ln 8, as ln(1/2) to ln(4) has its 0 after a third.
  EXPECT_NEAR(*twin_rows({row("m@twin1", 1, paid(0.5)), row("m@twin8", 8, paid(4))})[0].isoline->q, 2, 1e-12);
}

// The size that a twin really has counts, not the one in its name.
TEST(Twins, QIsTheOneReached) {
  const auto rows = twin_rows({row("m@twin1", 0.9, paid(0.5)), row("m@twin4", 3.6, paid(2))});
  EXPECT_NEAR(*rows[0].isoline->q, 1.8, 1e-12);
  EXPECT_DOUBLE_EQ(*rows[0].sizes[0].q, 0.9);
}

TEST(Twins, AtTheEndsNothingIsExtrapolated) {
  const auto cheap = twin_rows({row("m@twin1", 1, paid(1.1)), row("m@twin2", 2, paid(2))})[0].isoline;
  EXPECT_EQ(cheap->kind, CrossoverKind::from_smallest);
  EXPECT_FALSE(cheap->q);
  EXPECT_EQ(cheap->below, 1);
  const auto dear = twin_rows({row("m@twin1", 1, paid(0.2)), row("m@twin2", 2, paid(0.9))})[0].isoline;
  EXPECT_EQ(dear->kind, CrossoverKind::not_reached);
  EXPECT_FALSE(dear->q);
  EXPECT_EQ(dear->above, 2);
  const auto even = twin_rows({row("m@twin1", 1, paid(1)), row("m@twin2", 2, paid(2))})[0].isoline;
  EXPECT_EQ(even->kind, CrossoverKind::between) << "at 1 itself it is not cheaper";
  EXPECT_NEAR(*even->q, 1, 1e-12);
}

// Noise may bring paid below 1 twice: above the isoline the mixture is always cheaper.
TEST(Twins, TheUppermostCrossingCounts) {
  const auto line =
      twin_rows({row("m@twin1", 1, paid(1.1)), row("m@twin2", 2, paid(0.5)), row("m@twin8", 8, paid(2))})[0].isoline;
  EXPECT_EQ(line->below, 2);
  EXPECT_NEAR(*line->q, 4, 1e-12);
}

// Ends of 1/4 and 1 at q 1, and of 1 and 4 at q 4: they cross at 4 and at 1.
TEST(Twins, TheIntervalIsThatOfTheEnds) {
  const auto line = twin_rows({row("m@twin1", 1, paid(0.5, 0.25, 1)), row("m@twin4", 4, paid(2, 1, 4)),
                               row("m@twin16", 16, paid(8, 4, 16))})[0]
                        .isoline;
  ASSERT_TRUE(line->interval);
  EXPECT_NEAR(line->interval->low, 1, 1e-12);
  EXPECT_NEAR(line->interval->high, 4, 1e-12);
  // An end that crosses nowhere measured leaves no interval.
  EXPECT_FALSE(
      twin_rows({row("m@twin1", 1, paid(0.5, 0.25, 1.1)), row("m@twin4", 4, paid(2, 1, 4))})[0].isoline->interval);
}

TEST(Twins, WhatWasNotMeasuredIsAbsent) {
  const auto rows = twin_rows({row("m@twin1", 1, {}), row("m@twin2", 2, {}), row("m@twin1", 1, paid(0.5), 8)});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FALSE(rows[0].isoline);
  EXPECT_EQ(rows[0].sizes[0].why, "not reached");
  EXPECT_EQ(rows[1].batch, 8);
  EXPECT_EQ(rows[1].isoline->kind, CrossoverKind::not_reached);
  TradeoffRow uncounted = row("m@twin2", 1, paid(2));
  uncounted.promised.reset();
  EXPECT_FALSE(twin_rows({uncounted})[0].isoline);
}

TEST(Twins, OtherPairsAreNone) {
  EXPECT_TRUE(twin_rows({row("d", 4, paid(2)), row("n@twin2", 2, paid(2)), row("m@dense", 9, paid(2)),
                         row("m@twin2@mha", 2, paid(2)), row("m@twinx", 2, paid(2))})
                  .empty());
  // One of several ranks against twins on as many; one of several devices that share the experts against the twin.
  TradeoffRow ranks = row("m@twin2@tp8", 2, paid(2)), devices = row("m@twin2", 2, paid(2));
  ranks.model = ranks.moe = "m@tp8";
  devices.model = devices.moe = "m@ep32";
  EXPECT_EQ(twin_rows({ranks, devices}).size(), 2u);
}

}  // namespace
}  // namespace layercost

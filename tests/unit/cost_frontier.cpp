// Frontier, break-even and what a price record does to them, worked by hand.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/frontier.h"

#include <gtest/gtest.h>

#include "harness/cost/break_even.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

ModelRow decode(std::int64_t batch, double time_s, double half_width = 0.01) {
  ModelRow row;
  row.model = "m";
  row.phase = "decode";
  row.batch = batch;
  row.outcome = Outcome::measured;
  row.time_s = time_s;
  if (half_width > 0) row.time_interval = Interval{time_s * (1 - half_width), time_s * (1 + half_width)};
  row.tokens_per_s = static_cast<double>(batch) / time_s;
  row.usd_per_mtok = 1e6 / (3600 * *row.tokens_per_s);  // at 1 USD per hour
  return row;
}

Summary summary_of(std::vector<ModelRow> rows) {
  Summary summary;
  summary.models = std::move(rows);
  mark_frontier(summary.models);
  return summary;
}

TEST(Frontier, APointThatIsSlowerAndDearerIsNotOnIt) {
  // 10, 8, 5 and 4 tokens/s for a user; 10, 64, 60 and 128 in all: batch 12 is beaten by batch 8 in both.
  Summary summary = summary_of({decode(1, 0.1), decode(8, 0.125), decode(12, 0.2), decode(32, 0.25)});
  const std::vector<ModelRow>& m = summary.models;
  EXPECT_NEAR(*m[1].tokens_per_s_user, 8, 1e-12);
  EXPECT_NEAR(m[1].tokens_per_s_user_interval->low, 8 / 1.01, 1e-12);
  EXPECT_NEAR(*m[1].tokens_per_usd, 64 * 3600, 1e-6);
  EXPECT_TRUE(*m[0].on_frontier && *m[1].on_frontier && *m[3].on_frontier);
  EXPECT_FALSE(*m[2].on_frontier);
}

TEST(Frontier, OneThatDoesNotFitIsOnNoneAndPushesNobodyOff) {
  ModelRow large = decode(64, 0.05);
  large.fits = false;
  const Summary summary = summary_of({decode(1, 0.1), large});
  EXPECT_FALSE(summary.models[1].on_frontier);
  EXPECT_TRUE(*summary.models[0].on_frontier);
  const Frontier frontier = frontiers(summary).at(0);
  EXPECT_EQ(frontier.points.size(), 2u);
  EXPECT_EQ(cheapest(frontier, 1).point, &summary.models[0]);
}

TEST(Frontier, OthersThanTheBatchDivideIt) {
  ModelRow other = decode(1, 1.0);
  other.context = 4096;
  ModelRow format = decode(1, 1.0);
  format.weight_type = "q8_0";
  const Summary summary = summary_of({decode(1, 0.1), other, format});
  EXPECT_EQ(frontiers(summary).size(), 3u);
  for (const ModelRow& row : summary.models) EXPECT_TRUE(*row.on_frontier);
}

TEST(Frontier, TheCheapestThatKeepsALimitIsNotGuessed) {
  const Summary summary = summary_of({decode(1, 0.1), decode(8, 0.125), decode(32, 0.25)});
  const Frontier frontier = frontiers(summary).at(0);
  EXPECT_EQ(cheapest(frontier, 7).point->batch, 8);
  EXPECT_EQ(cheapest(frontier, 7).perhaps, nullptr);
  EXPECT_EQ(cheapest(frontier, 3).point->batch, 32);
  EXPECT_EQ(cheapest(frontier, 11).point, nullptr);
  // 8 lies in the interval of batch 8, 7.92 to 8.08: batch 1 keeps it for sure, batch 8 perhaps.
  EXPECT_EQ(cheapest(frontier, 8).point->batch, 1);
  EXPECT_EQ(cheapest(frontier, 8).perhaps->batch, 8);
  // Without an interval nothing is sure.
  const Summary one = summary_of({decode(8, 0.125, 0)});
  EXPECT_EQ(keeps(one.models[0], 7), Keeps::cannot_tell);
  EXPECT_EQ(keeps(one.models[0], 9), Keeps::no);
}

TEST(Frontier, TheFirstTokenIsOfTheSmallestBatchAndTheLongestPrompt) {
  const auto prompt = [](std::int64_t batch, std::int64_t context) {
    ModelRow row = decode(batch, 1.0);
    row.phase = "prefill";
    row.context = context;
    return row;
  };
  ModelRow other = prompt(1, 8192);
  other.model = "other";
  const Summary summary = summary_of({prompt(2, 4096), prompt(1, 256), prompt(1, 2048), other, decode(1, 0.1)});
  EXPECT_EQ(frontiers(summary).at(0).first_token, &summary.models[2]);
}

// 8760 USD over 2 years at no interest: 12 USD a day. 1 USD per million the other way, 0.4 for its own electricity.
TEST(BreakEven, IsFixedCostOverWhatATokenSaves) {
  const BreakEven even = break_even(12, 0.4e-6, 1e-6, 1e9);
  EXPECT_NEAR(even.tokens_per_day.value(), 20e6, 1e-3);
  EXPECT_TRUE(even.why.empty());
}

TEST(BreakEven, NeverAboveTheCapacityNorWithoutASaving) {
  EXPECT_FALSE(break_even(12, 0.4e-6, 1e-6, 19.9e6).tokens_per_day);
  EXPECT_NE(break_even(12, 0.4e-6, 1e-6, 19.9e6).why.find("makes in a day"), std::string::npos);
  EXPECT_FALSE(break_even(12, 1e-6, 1e-6, 1e12).tokens_per_day);
  EXPECT_NE(break_even(12, 1e-6, 1e-6, 1e12).why.find("electricity"), std::string::npos);
}

TEST(BreakEven, AnApiBillsInputCachedInputAndOutput) {
  ListPriceRecord price;
  price.steps = {{1, 10, 0.1, 1000}, {2, 20, {}, {}}};
  const MixRecord mix{"1:19:1", 1.0 / 21, 19.0 / 21, 1.0 / 21};
  EXPECT_NEAR(list_usd_per_mtok(price, mix, 1000), (1 + 1.9 + 10) / 21, 1e-12);
  EXPECT_NEAR(list_usd_per_mtok(price, mix, 1001), (2.0 + 38 + 20) / 21, 1e-12);  // no price of cached input: as input
}

// The fixture's model has a step at batch 8; what is compared is worked from its rate alone.
TEST(BreakEven, RowsFollowFromTheFilesPriceAndTheOthers) {
  ResultFile file = fixture::result_file();
  file.price->usd_per_hour = 3.6;  // 0.001 USD/s
  file.price->model = "rented";
  file.price->utilisation.reset();
  file.price->mix.reset();
  OwnedRecord own;
  own.id = "mine";
  own.capex_usd = 7300;
  own.years = 2;
  own.availability = 0.5;
  own.energy_usd_per_hour = 0.36;  // a tenth of the rental
  file.against = AgainstRecord{own, {}};
  const Summary summary = summarise(file);
  const std::vector<BreakEvenRow> rows = break_evens(file, summary);
  ASSERT_FALSE(rows.empty());
  for (const BreakEvenRow& row : rows) {
    const ModelRow& model = summary.models[row.point];
    EXPECT_EQ(row.ways, Ways::own_or_rent);
    const double tokens_per_s = *model.tokens_per_s;
    // 10 USD a day, 0.9e-3 USD saved a second of work: 11111.1 s of work a day, of 43200.
    ASSERT_TRUE(row.now.tokens_per_day);
    EXPECT_NEAR(*row.now.tokens_per_day, 10 / 0.9e-3 * tokens_per_s, 1e-6 * *row.now.tokens_per_day);
    EXPECT_NEAR(row.now.capacity_tokens_per_day, 43200 * tokens_per_s, 1e-6 * row.now.capacity_tokens_per_day);
    ASSERT_EQ(row.changes.size(), 5u);
    EXPECT_NEAR(*row.changes[0].then.tokens_per_day, *row.now.tokens_per_day / 2, 1);  // half the use
    EXPECT_NEAR(*row.changes[1].then.tokens_per_day, 10 / 0.4e-3 * tokens_per_s, 1);   // half the price
    EXPECT_NEAR(*row.changes[2].then.tokens_per_day, 10 / 1.9e-3 * tokens_per_s, 1);   // twice the price
    EXPECT_NEAR(*row.changes[3].then.tokens_per_day, 20 / 0.9e-3 * tokens_per_s, 1);   // half the life
    EXPECT_NEAR(*row.changes[4].then.tokens_per_day, 5 / 0.9e-3 * tokens_per_s, 1);    // twice the life
    ASSERT_TRUE(row.interval);
    EXPECT_NEAR(row.interval->high, *row.now.tokens_per_day * *model.time_s / model.time_interval->low, 1);
  }
  file.against.reset();
  EXPECT_TRUE(break_evens(file, summary).empty());
}

TEST(BreakEven, ARentalDayAndNightAgainstAnApi) {
  ResultFile file = fixture::result_file();
  file.price->usd_per_hour = 1;
  file.price->model = "rented";
  file.price->utilisation.reset();
  file.price->mix = MixRecord{"out", 0, 0, 1};
  ListPriceRecord api;
  api.id = "api";
  api.model = "nobody's";
  api.steps = {{1, 1e4, {}, {}}};  // 0.01 USD a token: 2400 tokens pay a day
  file.against = AgainstRecord{{}, {api}};
  const Summary summary = summarise(file);
  const std::vector<BreakEvenRow> rows = break_evens(file, summary);
  ASSERT_FALSE(rows.empty());
  for (const BreakEvenRow& row : rows) {
    EXPECT_EQ(row.ways, Ways::rent_or_api);
    EXPECT_NEAR(*row.now.tokens_per_day, 2400, 1e-6);
    EXPECT_EQ(row.changes.size(), 3u);  // a rental has no life
    EXPECT_NEAR(*row.list_usd_per_mtok, 1e4, 1e-9);
  }
  file.against->list_prices[0].model = summary.models[rows[0].point].model;  // of one of those that were measured
  for (const BreakEvenRow& row : break_evens(file, summary))
    EXPECT_EQ(summary.models[row.point].model, file.against->list_prices[0].model);
}

}  // namespace
}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "harness/spec/closed_model.h"
#include "harness/spec/list_price.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;
using testing::TempDir;
using Json = nlohmann::json;
using Labels = std::vector<std::string>;

const Date kToday = *parse_date("2026-12-01");

// A price of tokens is no price of hours, nor the other way round: neither converts, and no rate can be asked of it.
template <class T>
concept HasHour = requires(const T& price) {
  price.usd_per_device_hour();
};
static_assert(!HasHour<ListPrice> && HasHour<RentalPrice> && HasHour<OwnedPrice>);
static_assert(!std::is_convertible_v<ListPrice, Price> && !std::is_constructible_v<Price, ListPrice>);

Json step(const char* input = "1.25", const char* output = "10.00") {
  return {{"input_usd_per_mtok", input}, {"output_usd_per_mtok", output}};
}
Json record() {
  return {{"model", "M"},
          {"provider", "P"},
          {"prices", {step()}},
          {"source", "example.org/prices"},
          {"retrieved_at", "2026-11-01"}};
}
Json with(Json record, const Json& change) {
  record.merge_patch(change);
  return record;
}
Json stepped(const Json& first, const Json& second) {
  Json low = step(), high = step("2.50", "15.00");
  low.update(first);
  high.update(second);
  return with(record(), {{"prices", {low, high}}});
}
ListPrice read(const Json& record, Date on = kToday) {
  TempDir dir;
  return read_list_price(dir.write("p.json", record.dump()), on);
}

TEST(ListPrices, StepsAreReadInTheirOrder) {
  const ListPrice price =
      read(stepped({{"up_to_tokens", 200000}, {"cached_input_usd_per_mtok", "0.125"}}, Json::object()));
  EXPECT_EQ(price.model, "m");
  EXPECT_EQ(price_text(price),
            "up to 200000 tokens of input: input 1.25, cached 0.125, output 10.00; above: input 2.50, output 15.00");
}

TEST(ListPrices, WhatIsDoubtfulIsALabel) {
  EXPECT_EQ(list_price_labels(read(record()), kToday), Labels{});
  EXPECT_EQ(list_price_labels(read(record()), *parse_date("2027-01-31")), Labels{"STALE"});
  EXPECT_EQ(list_price_labels(read(with(record(), {{"retrieved_at", "2026-08"}})), kToday), Labels{"STALE"});
  const ListPrice over = read(with(record(), {{"valid_to", "2026-11-30"}, {"promotional", true}}));
  EXPECT_EQ(list_price_labels(over, kToday), (Labels{"EXPIRED", "PROMOTIONAL"}));
  EXPECT_EQ(list_price_labels(over, *parse_date("2026-11-30")), Labels{"PROMOTIONAL"});
}

TEST(ListPrices, BadRecordsAreRefusedAtTheirPlace) {
  struct Bad {
    Json record;
    std::vector<const char*> said;
  };
  const auto prices = [](const Json& change) {
    Json one = step();
    one.merge_patch(change);
    return with(record(), {{"prices", {one}}});
  };
  const Bad table[] = {
      {Json::array(), {"expected an object"}},
      {with(record(), {{"model", nullptr}}), {": model: ", "missing"}},
      {with(record(), {{"provider", " "}}), {": provider: ", "empty"}},
      {with(record(), {{"source", nullptr}}), {": source: ", "missing"}},
      {with(record(), {{"retrieved_at", nullptr}}), {": retrieved_at: ", "missing"}},
      {with(record(), {{"retrieved_at", "2026-12-02"}}), {": retrieved_at: ", "in the future"}},
      {with(record(), {{"retrieved_at", "2026-13"}}), {": retrieved_at: ", "YYYY-MM"}},
      {with(record(), {{"valid_from", "2026-12-02"}}), {": valid_from: ", "in the future"}},
      {with(record(), {{"valid_from", "2026-10-02"}, {"valid_to", "2026-10-01"}}), {": valid_to: ", "before"}},
      {with(record(), {{"prices", Json::array()}}), {": prices: "}},
      {with(record(), {{"provder", "x"}}), {": provder: ", "did you mean 'provider'?"}},
      {with(record(), {{"amount", "2.50"}}), {": amount: ", "unknown key"}},
      {prices({{"input_usd_per_mtok", "0"}}), {": prices[0].input_usd_per_mtok: ", "above zero"}},
      {prices({{"input_usd_per_mtok", "-1"}}), {": prices[0].input_usd_per_mtok: "}},
      {prices({{"input_usd_per_mtok", "free"}}), {": prices[0].input_usd_per_mtok: "}},
      {prices({{"input_usd_per_mtok", 1.25}}), {": prices[0].input_usd_per_mtok: ", "in quotes"}},
      {prices({{"output_usd_per_mtok", nullptr}}), {": prices[0].output_usd_per_mtok: ", "missing"}},
      {prices({{"output_usd_per_mtok", "100001"}}), {": prices[0].output_usd_per_mtok: ", "more than"}},
      {prices({{"cached_input_usd_per_mtok", "NaN"}}), {": prices[0].cached_input_usd_per_mtok: "}},
      {prices({{"usd_per_hour", "1"}}), {": prices[0].usd_per_hour: ", "unknown key"}},
      {stepped(Json::object(), Json::object()), {": prices[1].up_to_tokens: ", "from short inputs to long ones"}},
      {stepped({{"up_to_tokens", 9}}, {{"up_to_tokens", 9}}), {": prices[1].up_to_tokens: "}},
  };
  for (const Bad& bad : table) {
    const std::string message = bad_input([&] { read(bad.record); });
    for (const char* part : bad.said)
      EXPECT_TRUE(contains(message, part)) << bad.record.dump() << "\n" << message << "\nlacks: " << part;
  }
  EXPECT_TRUE(contains(bad_input([] { find_list_price("kimi-k", kConfigs, kToday); }), "did you mean 'kimi-k2'?"));
}

TEST(ShippedListPrices, AreReadableAndEveryClosedModelHasOne) {
  const std::vector<ListPrice> prices = list_list_prices(kConfigs, kToday);
  EXPECT_GE(prices.size(), 25u);
  std::set<std::string> models;
  for (const ListPrice& price : prices) models.insert(price.model);
  for (const ClosedModel& closed : list_closed_models(kConfigs))
    EXPECT_TRUE(models.contains(closed.name)) << closed.name;
  // As DeepSeek's page had it on 2025-02-08.
  const ListPrice v3 = find_list_price("deepseek-v3", kConfigs, kToday);
  EXPECT_EQ(price_text(v3), "input 0.27, cached 0.07, output 1.10");
  EXPECT_EQ(list_price_labels(v3, kToday), (Labels{"STALE", "EXPIRED"}));
}

}  // namespace
}  // namespace layercost

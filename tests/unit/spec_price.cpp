// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <type_traits>

#include "harness/spec/price_spec.h"
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

Json rental() {
  return {{"model", "rented"},
          {"device", "X"},
          {"provider", "P"},
          {"amount", "2.50"},
          {"currency", "USD"},
          {"devices", 1},
          {"term", "on-demand"},
          {"kind", "list"},
          {"boundary", "device"},
          {"included", {"electricity"}},
          {"excluded", Json::array()},
          {"source", "example.org/prices"},
          {"retrieved_at", "2026-11-01"},
          {"valid_from", "2026-10-01"}};
}
// The worked example of the cost formula: 300 000 USD, 4 years at 10 %, 20 000 a year, 95 %, 8 kW, PUE 1.3, 0.10 USD
// per kWh.
Json owned() {
  return {{"model", "owned"},
          {"device", "X"},
          {"title", "T"},
          {"capex_usd", "300000"},
          {"years", 4},
          {"rate", 0.10},
          {"opex_usd_per_year", 20000},
          {"availability", 0.95},
          {"power_w", 8000},
          {"pue", 1.3},
          {"usd_per_kwh", "0.10"},
          {"devices", 1},
          {"boundary", "node"},
          {"included", Json::array()},
          {"excluded", Json::array()},
          {"source", "S"},
          {"retrieved_at", "2026-11-01"},
          {"valid_from", "2026-10-01"}};
}
Json with(Json record, const Json& change) {
  record.merge_patch(change);
  return record;
}
Price read(const Json& record, Date on = kToday) {
  TempDir dir;
  return read_price(dir.write("p.json", record.dump()), on);
}

TEST(Prices, CapitalRecoveryFactorHasTheGoldenValues) {
  EXPECT_NEAR(capital_recovery_factor(0.10, 4), 0.315470804, 1e-9 * 0.3155);
  EXPECT_NEAR(capital_recovery_factor(0.08, 5), 0.250456455, 1e-9 * 0.2505 * 2);  // printed to nine digits
  EXPECT_EQ(capital_recovery_factor(0.0, 4), 0.25);
  EXPECT_NEAR(capital_recovery_factor(1e-12, 4), 0.25, 1e-12);
}

TEST(Prices, OwnedNodeHasTheGoldenValue) {
  const auto price = std::get<OwnedPrice>(read(owned()));
  EXPECT_NEAR(price.capital_usd_per_device_hour(), 13.775684, 5e-7);
  EXPECT_NEAR(price.energy_usd_per_device_hour(), 1.04, 1e-12);
  EXPECT_NEAR(price.usd_per_device_hour(), 14.815684, 5e-7);
  EXPECT_EQ(usd_per_device_hour(Price(price)), price.usd_per_device_hour());
  EXPECT_NEAR(std::get<OwnedPrice>(read(with(owned(), {{"devices", 8}}))).usd_per_device_hour(), 14.815684 / 8, 1e-7);
  const auto without =
      std::get<OwnedPrice>(read(with(owned(), {{"power_w", nullptr}, {"pue", nullptr}, {"usd_per_kwh", nullptr}})));
  EXPECT_NEAR(without.usd_per_device_hour(), 13.775684, 5e-7);
  EXPECT_EQ(price_labels(without, kToday), Labels{"NO_ELECTRICITY"});
}

TEST(Prices, OwnedCostMovesWithItsParts) {
  const double base = usd_per_device_hour(read(owned()));
  const auto cost = [](const Json& change) { return usd_per_device_hour(read(with(owned(), change))); };
  EXPECT_GT(cost({{"capex_usd", "300001"}}), base);
  EXPECT_GT(cost({{"rate", 0.11}}), base);
  EXPECT_GT(cost({{"pue", 1.4}}), base);
  EXPECT_GT(cost({{"usd_per_kwh", "0.11"}}), base);
  EXPECT_GT(cost({{"opex_usd_per_year", 20001}}), base);
  EXPECT_LT(cost({{"years", 5}}), base);
  EXPECT_LT(cost({{"availability", 1.0}}), base);
  EXPECT_LT(cost({{"rate", 0.0}}), base);
}

// Electricity cannot be added to a rental: the type has no such part, and the two do not convert.
template <class T>
concept HasEnergy = requires(const T& price) {
  price.energy_usd_per_device_hour();
};
static_assert(HasEnergy<OwnedPrice> && !HasEnergy<RentalPrice> && !HasEnergy<StatedPrice>);
static_assert(!std::is_convertible_v<RentalPrice, OwnedPrice> && !std::is_convertible_v<OwnedPrice, RentalPrice>);

TEST(Prices, RentalsAreReadWhole) {
  const auto price = std::get<RentalPrice>(
      read(with(rental(), {{"region", "eu"}, {"valid_to", "2026-12-31"}, {"promotional", true}, {"devices", 8}})));
  EXPECT_EQ(price.id, "p");
  EXPECT_EQ(price.amount, "2.50");
  EXPECT_EQ(price.usd_per_device_hour(), 2.5 / 8);
  EXPECT_EQ(price_labels(price, kToday), Labels{"PROMOTIONAL"});
  EXPECT_EQ(price_summary(price), "X rented from P in eu, on-demand, 2.50 USD/h for 8 devices, 2026-11-01");
  // A year of a server of eight: 389 400 USD / 8760 h / 8.
  const auto year = std::get<RentalPrice>(
      read(with(rental(), {{"amount", "389400"}, {"hours", 8760}, {"devices", 8}, {"sku", "8x"}})));
  EXPECT_NEAR(year.usd_per_device_hour(), 5.556507, 1e-6);
  EXPECT_EQ(year.sku, "8x");
  EXPECT_EQ(price_summary(year), "X rented from P, on-demand, 389400 USD/8760 h for 8 devices, 2026-11-01");
}

TEST(Prices, AnExampleIsOfItsDeviceUnlessItSaysOtherwise) {
  EXPECT_EQ(price_device(read(owned())), "X");
  EXPECT_EQ(price_device(read(with(owned(), {{"example", true}}))), "X");
  EXPECT_EQ(price_device(read(with(owned(), {{"example", true}, {"any_device", true}}))), "");
  EXPECT_THROW(read(with(owned(), {{"any_device", true}})), BadInput);  // somebody's machine has a name
}

TEST(Prices, AgeIsALabel) {
  const Price price = read(with(rental(), {{"valid_to", "2026-12-31"}}));
  EXPECT_EQ(price_labels(price, *parse_date("2027-01-30")), (Labels{"EXPIRED"}));           // 90 days after 2026-11-01
  EXPECT_EQ(price_labels(price, *parse_date("2027-01-31")), (Labels{"STALE", "EXPIRED"}));  // 91
  EXPECT_EQ(price_labels(price, *parse_date("2026-12-31")), Labels{});
  EXPECT_EQ(price_labels(read(with(owned(), {{"example", true}})), *parse_date("2027-06-01")),
            (Labels{"STALE", "EXAMPLE"}));
  EXPECT_EQ(price_labels(read(with(rental(), {{"kind", "estimate"}})), kToday), Labels{"ESTIMATE"});
}

TEST(Prices, OtherCurrenciesNeedADatedRate) {
  const Json rate = {{"usd_per_unit", "0.14"}, {"date", "2026-10-30"}, {"source", "S"}};
  const auto price = std::get<RentalPrice>(read(with(rental(), {{"currency", "CNY"}, {"exchange", rate}})));
  EXPECT_NEAR(price.usd_per_device_hour(), 0.35, 1e-12);
  EXPECT_EQ(price.exchange_date, parse_date("2026-10-30"));
}

TEST(Prices, BadRecordsAreRefusedAtTheirPlace) {
  struct Bad {
    Json record;
    std::vector<const char*> said;
  };
  const Json null = nullptr;
  const Bad table[] = {
      {Json::array(), {"expected an object"}},
      {with(rental(), {{"model", "leased"}}), {": model: ", "rented, owned"}},
      {with(rental(), {{"model", null}}), {": model: ", "missing"}},
      {with(rental(), {{"amount", null}}), {": amount: ", "missing"}},
      {with(rental(), {{"amount", "0"}}), {": amount: ", "above zero"}},
      {with(rental(), {{"amount", "0.00"}}), {": amount: ", "above zero"}},
      {with(rental(), {{"amount", "-2.50"}}), {": amount: ", "\"-2.50\""}},
      {with(rental(), {{"amount", "nan"}}), {": amount: "}},
      {with(rental(), {{"amount", "inf"}}), {": amount: "}},
      {with(rental(), {{"amount", "free"}}), {": amount: "}},
      {with(rental(), {{"amount", ""}}), {": amount: "}},
      {with(rental(), {{"amount", "2,50"}}), {": amount: "}},
      {with(rental(), {{"amount", "1e3"}}), {": amount: "}},
      {with(rental(), {{"amount", "2."}}), {": amount: "}},
      {with(rental(), {{"amount", ".5"}}), {": amount: "}},
      {with(rental(), {{"amount", " 2"}}), {": amount: "}},
      {with(rental(), {{"amount", "0x2"}}), {": amount: "}},
      {with(rental(), {{"amount", "$2.50"}}), {": amount: "}},
      {with(rental(), {{"amount", 2.5}}), {": amount: ", "in quotes"}},
      {with(rental(), {{"amount", "1000000"}}), {": amount: ", "more than"}},
      {with(rental(), {{"currency", null}}), {": currency: ", "missing"}},
      {with(rental(), {{"currency", "usd"}}), {": currency: ", "ISO 4217"}},
      {with(rental(), {{"currency", "$"}}), {": currency: "}},
      {with(rental(), {{"currency", "EUR"}}), {": exchange: ", "EUR"}},
      {with(rental(), {{"exchange", {{"usd_per_unit", "1"}}}}), {": exchange: ", "USD"}},
      {with(rental(), {{"currency", "EUR"}, {"exchange", {{"usd_per_unit", "1.1"}, {"source", "S"}}}}),
       {": exchange.date: "}},
      {with(rental(),
            {{"currency", "EUR"}, {"exchange", {{"usd_per_unit", "0"}, {"date", "2026-10-01"}, {"source", "S"}}}}),
       {": exchange.usd_per_unit: "}},
      {with(rental(), {{"devices", 0}}), {": devices: "}},
      {with(rental(), {{"devices", null}}), {": devices: "}},
      {with(rental(), {{"hours", 0}}), {": hours: "}},
      {with(rental(), {{"term", "on-demnad"}}), {": term: ", "did you mean 'on-demand'?"}},
      {with(rental(), {{"kind", "rumour"}}), {": kind: "}},
      {with(rental(), {{"boundary", null}}), {": boundary: "}},
      {with(rental(), {{"included", "all"}}), {": included: "}},
      {with(rental(), {{"source", null}}), {": source: ", "missing"}},
      {with(rental(), {{"source", "  "}}), {": source: ", "empty"}},
      {with(rental(), {{"retrieved_at", null}}), {": retrieved_at: ", "missing"}},
      {with(rental(), {{"retrieved_at", "2026-12-02"}}), {": retrieved_at: ", "in the future"}},
      {with(rental(), {{"valid_from", "2027-01-01"}}), {": valid_from: ", "in the future"}},
      {with(rental(), {{"valid_to", "2026-09-01"}}), {": valid_to: ", "before"}},
      {with(rental(), {{"retrieved_at", "2026-02-30"}}), {": retrieved_at: ", "YYYY-MM-DD"}},
      {with(rental(), {{"retrieved_at", "01.11.2026"}}), {": retrieved_at: "}},
      {with(rental(), {{"retrieved_at", "2026-11-1x"}}), {": retrieved_at: "}},
      {with(rental(), {{"power_w", 700}}), {": power_w: ", "unknown key"}},  // electricity in a rental
      {with(rental(), {{"usd_per_kwh", "0.1"}}), {": usd_per_kwh: ", "unknown key"}},
      {with(rental(), {{"ammount", "2"}}), {": ammount: ", "did you mean 'amount'?"}},
      {with(owned(), {{"amount", "2"}}), {": amount: ", "unknown key"}},
      {with(owned(), {{"capex_usd", "0"}}), {": capex_usd: "}},
      {with(owned(), {{"capex_usd", 300000}}), {": capex_usd: ", "in quotes"}},
      {with(owned(), {{"years", 0}}), {": years: "}},
      {with(owned(), {{"rate", 8}}), {": rate: ", "0..1"}},
      {with(owned(), {{"rate", -0.1}}), {": rate: "}},
      {with(owned(), {{"availability", 0}}), {": availability: "}},
      {with(owned(), {{"availability", 95}}), {": availability: "}},
      {with(owned(), {{"opex_usd_per_year", -1}}), {": opex_usd_per_year: "}},
      {with(owned(), {{"pue", 0.9}}), {": pue: "}},
      {with(owned(), {{"pue", null}}), {": pue: ", "missing"}},
      {with(owned(), {{"usd_per_kwh", null}}), {": usd_per_kwh: "}},
      {with(owned(), {{"power_w", null}}), {": pue: ", "without power_w"}},
      {with(owned(), {{"source", ""}}), {": source: "}},
      {with(owned(), {{"retrieved_at", "2030-01-01"}}), {": retrieved_at: "}},
  };
  for (const Bad& bad : table) {
    const std::string message = bad_input([&] { read(bad.record); });
    for (const char* part : bad.said)
      EXPECT_TRUE(contains(message, part)) << bad.record.dump() << "\n" << message << "\nlacks: " << part;
  }
}

TEST(Prices, DecimalsAndDates) {
  EXPECT_EQ(parse_decimal("2.50"), 2.5);
  EXPECT_EQ(parse_decimal("0.000001"), 1e-6);
  EXPECT_EQ(parse_decimal("123456789012345"), 123456789012345.0);
  EXPECT_EQ(parse_decimal("1234567890123456"), std::nullopt);
  EXPECT_EQ(parse_decimal("1.2.3"), std::nullopt);
  EXPECT_EQ(parse_decimal("+1"), std::nullopt);
  EXPECT_EQ(date_text(*parse_date("2024-02-29")), "2024-02-29");
  for (const char* bad : {"2023-02-29", "2026-13-01", "2026-00-01", "2026-1-1", "2026-01-32", "20260101", "",
                          "1969-01-01", "2026/01/01"}) {
    EXPECT_EQ(parse_date(bad), std::nullopt) << bad;
  }
}

TEST(PriceArgument, IsARateAnIdOrAFile) {
  const Price stated = find_price("2.50/h", kConfigs, kToday);
  EXPECT_EQ(usd_per_device_hour(stated), 2.5);
  EXPECT_EQ(price_id(stated), "2.50/h");
  EXPECT_EQ(price_labels(stated, kToday), Labels{"COMMAND_LINE"});
  EXPECT_EQ(usd_per_device_hour(find_price("1/hour", kConfigs, kToday)), 1.0);
  EXPECT_EQ(price_id(find_price("h100-sxm-runpod", kConfigs, kToday)), "h100-sxm-runpod");
  EXPECT_EQ(usd_per_device_hour(find_price((kConfigs / "prices/h100-sxm-runpod.json").string(), kConfigs, kToday)),
            3.49);
  for (const char* bad : {"0/h", "-1/h", "abc/h", "/h", "nan/h", "1e3/h", "200000/h", "2.50$/h"}) {
    EXPECT_TRUE(contains(bad_input([&] { find_price(bad, kConfigs, kToday); }), "USD per hour above zero")) << bad;
  }
  EXPECT_TRUE(contains(bad_input([&] { find_price("2.50", kConfigs, kToday); }), "has no unit; write 2.50/h"));
  EXPECT_TRUE(
      contains(bad_input([&] { find_price("h100-sxm-runpot", kConfigs, kToday); }), "did you mean 'h100-sxm-runpod'?"));
  EXPECT_NE(bad_input([&] { find_price("", kConfigs, kToday); }), "");
  EXPECT_NE(bad_input([&] { find_price("../models/Qwen--Qwen3-4B", kConfigs, kToday); }), "");
}

TEST(ShippedPrices, AreAllReadableDatedAndSourced) {
  const std::vector<Price> prices = list_prices(kConfigs, kToday);
  EXPECT_GE(prices.size(), 40u);
  for (const Price& price : prices) {
    SCOPED_TRACE(price_id(price));
    EXPECT_GT(usd_per_device_hour(price), 0.05);
    EXPECT_LT(usd_per_device_hour(price), 20.0);
    EXPECT_FALSE(price_summary(price).empty());
  }
}

TEST(ShippedPrices, ExampleWorkstationSaysItIsOne) {
  const Price price = find_price("example-owned-workstation", kConfigs, kToday);
  EXPECT_TRUE(std::holds_alternative<OwnedPrice>(price));
  EXPECT_EQ(price_labels(price, kToday), Labels{"EXAMPLE"});
  // By hand: CRF(0.08, 4) = 0.301920804; (8000 x 0.301920804 + 200) / (8760 x 0.95) + 0.5 x 0.15 = 0.314265 + 0.075
  EXPECT_NEAR(usd_per_device_hour(price), 0.389267, 1e-5);
}

}  // namespace
}  // namespace layercost

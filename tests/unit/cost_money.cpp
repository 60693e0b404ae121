// Golden values of TRUST 7.2: worked there from published numbers, not from this code.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "harness/cost/metrics.h"
#include "harness/cost/summary.h"
#include "harness/cost/token_cost.h"
#include "harness/spec/price_spec.h"
#include "kernels/core/error.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

TEST(TokenCost, TwoDollarsAnHourAtAThousandTokensASecond) {
  EXPECT_NEAR(usd_per_mtok(2, 1000), 0.55555555555555556, 1e-12);
  EXPECT_NEAR(usd_per_mtok(2, 1000, 0.5), 1.1111111111111111, 1e-12);  // half of the hours idle: twice the cost
}

// TC-01: DeepSeek's published day: 73.7k tokens in or 14.8k out a second and node, 16 USD per node and hour.
TEST(TokenCost, DeepSeekGoldenRates) {
  EXPECT_NEAR(usd_per_mtok(16, 73.7e3), 0.06030, 0.000005);
  // 608 billion tokens in, 168 out: one price for all of them, and all of the bill on the output.
  const MixRecord mix{"day", 608.0 / 776, 0, 168.0 / 776};
  const Blend day = blend(usd_per_mtok(16, 73.7e3), usd_per_mtok(16, 14.8e3), mix);
  EXPECT_NEAR(day.usd_per_mtok, 0.11226, 0.000005);
  EXPECT_NEAR(day.on_output_usd_per_mtok.value(), 0.51855, 0.000005);
  // The sum identity: input and output by themselves amount to the same.
  EXPECT_NEAR(day.usd_per_mtok * 776e3, usd_per_mtok(16, 73.7e3) * 608e3 + usd_per_mtok(16, 14.8e3) * 168e3, 1e-6);
  EXPECT_FALSE(blend(1, 2, {"in", 1, 0, 0}).on_output_usd_per_mtok);
  EXPECT_NEAR(usd_per_mtok(16, 14.8e3), 0.30030, 0.000005);
}

// TC-01: the node-hours of that day, 5444.7, against the published 226.75 nodes x 24 h: 0.05 % apart.
TEST(TokenCost, DeepSeekGoldenNodeHours) {
  const double hours_in = 608e9 / 73.7e3 / 3600, hours_out = 168e9 / 14.8e3 / 3600;
  EXPECT_NEAR(hours_in + hours_out, 5444.7, 0.1);
  // c_in x Ni + c_out x No is those hours at 16 USD.
  EXPECT_NEAR(usd_per_mtok(16, 73.7e3) * 608e3 + usd_per_mtok(16, 14.8e3) * 168e3, 16 * (hours_in + hours_out), 1e-6);
}

// TC-02: 0.5 J a token at PUE 1.3 and 0.10 USD per kWh: the energy share of an owned machine of 500 W at 1000 tokens/s.
TEST(TokenCost, EnergyOfATokenHasTheGoldenValue) {
  OwnedPrice price;
  price.power_w = 500;
  price.pue = 1.3;
  price.usd_per_kwh = 0.10;
  EXPECT_NEAR(usd_per_mtok(price.energy_usd_per_device_hour(), 1000), 0.0180555555556, 1e-9 * 0.018);
}

// TC-03: input and output add up to the bill, whatever the rates, the price and the shares.
TEST(TokenCost, InputAndOutputAddUpToTheBill) {
  std::mt19937_64 random(17);
  std::uniform_real_distribution<double> exponent(-3, 6), share(0.01, 1);
  for (int i = 0; i < 100000; ++i) {
    const double rate_in = std::pow(10, exponent(random)), rate_out = std::pow(10, exponent(random)),
                 usd_per_hour = std::pow(10, exponent(random)), in = share(random), out = share(random),
                 cached = share(random), all = in + cached + out;
    const MixRecord mix{"m", in / all, cached / all, out / all};
    const Blend b = blend(usd_per_mtok(usd_per_hour, rate_in), usd_per_mtok(usd_per_hour, rate_out), mix);
    const double hours = (mix.input / rate_in + mix.output / rate_out) / 3600 * 1e6;  // of a million tokens
    ASSERT_NEAR(b.usd_per_mtok / (usd_per_hour * hours), 1, 1e-12);
    ASSERT_NEAR(*b.on_output_usd_per_mtok * mix.output / b.usd_per_mtok, 1, 1e-12);
  }
}

// TC-11: cached input is counted and takes no step of its own; only the rows of the step are its tokens.
TEST(TokenCost, CachedTokensAreCountedApart) {
  const MixRecord mix{"1:19:1", 1.0 / 21, 19.0 / 21, 1.0 / 21};
  EXPECT_NEAR(blend(2, 4, mix).usd_per_mtok, 6.0 / 21, 1e-12);
  PointRecord point;
  point.phase = "decode";
  point.batch = 3;
  point.context = 4096;  // cached: attended to, not produced
  point.tokens = 3;
  EXPECT_EQ(tokens_per_step(point), 3);
}

// TC-07
TEST(TokenCost, FallsWithRateAndUtilisationAndRisesWithPrice) {
  EXPECT_LT(usd_per_mtok(2, 1001), usd_per_mtok(2, 1000));
  EXPECT_LT(usd_per_mtok(2, 1000, 0.61), usd_per_mtok(2, 1000, 0.6));
  EXPECT_GT(usd_per_mtok(2.01, 1000), usd_per_mtok(2, 1000));
}

// TC-04, TC-08: what is missing costs nothing known, never nothing.
TEST(TokenCost, NoPriceMeansNoCost) {
  EXPECT_FALSE(usd_per_mtok(std::optional<PriceRecord>{}, 1000.0));
  EXPECT_FALSE(usd_per_mtok(std::optional<PriceRecord>{}, Interval{1, 2}, 1));
  PriceRecord price;
  price.usd_per_hour = 2;
  EXPECT_FALSE(usd_per_mtok(price, std::optional<double>{}));
  EXPECT_FALSE(usd_per_mtok(price, std::optional<Interval>{}, 1));
  ResultFile file = fixture::result_file();
  file.price.reset();
  const Summary summary = summarise(file);
  for (const ModelRow& row : summary.models) {
    EXPECT_FALSE(row.usd_per_mtok);
    EXPECT_FALSE(row.usd_per_mtok_interval);
    for (const PartRow& part : row.parts) EXPECT_FALSE(part.usd_per_mtok);
  }
}

TEST(TokenCost, RefusesPricesAndRatesThatAreNone) {
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(usd_per_mtok(bad, 1000), BadInput) << bad;
    EXPECT_THROW(usd_per_mtok(2, bad), BadInput) << bad;
    EXPECT_THROW(usd_per_mtok(2, 1000, bad), BadInput) << bad;
  }
  EXPECT_THROW(usd_per_mtok(2, 1000, 1.01), BadInput);
}

// TC-12: without a use there is no cost, and a price moves it exactly.
TEST(TokenCost, AbsentOrImpossibleUseIsRefusedAndPricesScaleExactly) {
  for (const double use : {0.0, -0.5, 1.5, std::nan("")}) EXPECT_THROW(usd_per_mtok(2, 1000, use), BadInput) << use;
  EXPECT_EQ(usd_per_mtok(4, 1000), 2 * usd_per_mtok(2, 1000));
  EXPECT_EQ(usd_per_mtok(2, 1000, 0.25), 4 * usd_per_mtok(2, 1000));
}

// TC-12
TEST(TokenCost, IntervalOfCostIsThatOfTimeTimesPrice) {
  PriceRecord price;
  price.usd_per_hour = 7.2;  // 0.002 USD/s
  const auto interval = usd_per_mtok(price, Interval{0.9, 1.1}, 500);
  ASSERT_TRUE(interval);
  EXPECT_NEAR(interval->low, 0.9 * 0.002 / 500 * 1e6, 1e-9);
  EXPECT_NEAR(interval->high, 1.1 * 0.002 / 500 * 1e6, 1e-9);
  EXPECT_EQ(usd_per_mtok(price, Interval{-1, 1.1}, 500)->low, 0);
}

TEST(TokenCost, OfTheFixtureAsWorkedByHand) {
  const Summary summary = summarise(fixture::result_file());
  // 0.72 USD/h = 0.0002 USD/s; step time / tokens * 1e6.
  const double expected[] = {0.2625 * 200,    0.1125 * 200,     0.272 * 200 / 8,
                             0.336 * 200 / 8, 10.5 * 200 / 512, 5.5 * 200 / 512};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(*summary.models[i].usd_per_mtok, expected[i], 1e-9) << i;
  // A layer's row costs one layer.
  EXPECT_NEAR(*summary.models[0].parts[0].usd_per_mtok, 0.0625 * 200, 1e-9);
  // 62.5, 63.75, 61.25 ms: exp(mean(ln y) -/+ 4.302653 s / sqrt(3)), s of ln y.
  EXPECT_NEAR(summary.models[0].parts[0].usd_per_mtok_interval->high, 0.065675333 * 200, 1e-6);
  EXPECT_NEAR(summary.models[0].parts[0].time_interval->low, 0.059462329, 1e-9);
}

TEST(Metrics, NamesAreUniqueAndEndInTheirUnit) {
  for (const Metric& metric : kMetrics) {
    EXPECT_EQ(find_metric(metric.name), &metric) << metric.name;
    EXPECT_FALSE(metric.meaning.empty()) << metric.name;
    if (metric.unit == "s") {
      EXPECT_TRUE(metric.name.ends_with("_s")) << metric.name;
    }
    if (metric.unit == "bytes") {
      EXPECT_TRUE(metric.name.ends_with("_bytes")) << metric.name;
    }
    if (metric.unit == "bytes/s") {
      EXPECT_TRUE(metric.name.ends_with("_bytes_per_s")) << metric.name;
    }
    if (metric.unit == "USD") {
      EXPECT_NE(metric.name.find("usd"), std::string_view::npos) << metric.name;
    }
  }
  EXPECT_EQ(find_metric("time"), nullptr);
}

}  // namespace
}  // namespace layercost

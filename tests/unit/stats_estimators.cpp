// Expected values: TRUST 5.3 (tables), published t tables, and exact fractions worked outside this program.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "harness/result/stats.h"

namespace layercost {
namespace {

using Values = std::vector<double>;

Round round_of(std::int64_t index, const Values& times) {
  Round round;
  round.index = index;
  for (const double time_s : times) {
    Sample sample;
    sample.time_s = time_s;
    round.samples.push_back(sample);
  }
  return round;
}

TEST(Stats, MedianOfAnEvenNumberIsTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median(Values{3, 1, 2}), 2);
  EXPECT_EQ(median(Values{4, 1, 2, 8}), 3);
  EXPECT_EQ(median(Values{7}), 7);
  EXPECT_EQ(median(Values{std::numeric_limits<double>::max(), std::numeric_limits<double>::max()}),
            std::numeric_limits<double>::max());
}

TEST(Stats, QuantileIsLinearBetweenOrderStatistics) {
  const Values values{8, 1, 4, 2};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_NEAR(quantile(values, 0.1), 1.3, 1e-12);
  EXPECT_NEAR(quantile(values, 0.25), 1.75, 1e-12);
  EXPECT_NEAR(quantile(values, 0.5), 3, 1e-12);
  EXPECT_NEAR(quantile(values, 0.9), 6.8, 1e-12);
  EXPECT_EQ(quantile(values, 1), 8);
  EXPECT_EQ(quantile(Values{5}, 0.3), 5);
  EXPECT_THROW(quantile(values, 1.01), std::invalid_argument);
  EXPECT_THROW(quantile(values, std::nan("")), std::invalid_argument);
}

TEST(Stats, ASpikeMovesTheMeanButNeitherMedianNorMad) {
  Values values(99, 1.0);
  values.push_back(100);
  EXPECT_EQ(median(values), 1);
  EXPECT_EQ(mad(values), 0);
  EXPECT_NEAR(moments(values).mean, 1.99, 1e-12);
  EXPECT_EQ(mad(Values{1, 2, 4, 8, 9}), 3);  // median 4; distances 3 2 0 4 5
}

TEST(Stats, VarianceSurvivesCancellation) {
  Values values;
  for (int i = 0; i < 10; ++i) values.push_back(1e9 + i % 2);
  ASSERT_TRUE(moments(values).variance);
  EXPECT_NEAR(std::sqrt(*moments(values).variance), 0.527046, 1e-6);  // sqrt(10 * 0.25 / 9)
  EXPECT_FALSE(moments(Values{3}).variance);
  EXPECT_EQ(moments(Values{3, 3, 3}).variance, 0);
}

TEST(Stats, RefusesWhatIsNoNumber) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(median(Values{1, bad}), std::invalid_argument);
    EXPECT_THROW(moments(Values{1, bad}), std::invalid_argument);
    EXPECT_THROW(mad(Values{1, bad}), std::invalid_argument);
  }
  EXPECT_THROW(median(Values{}), std::invalid_argument);
  EXPECT_THROW(moments(Values{}), std::invalid_argument);
}

TEST(Stats, MedianRanksAreThoseOfTheTable) {
  struct Row {
    std::int64_t n, low, high;
    double coverage;
  };
  for (const Row& row : {Row{6, 1, 6, .96875}, Row{7, 1, 7, .984375}, Row{8, 1, 8, .9921875}, Row{9, 2, 8, .9609375},
                         Row{10, 2, 9, .978515625}, Row{12, 3, 10, .96142578125}, Row{15, 4, 12, .96484375},
                         Row{20, 6, 15, .9586105346679688}, Row{30, 10, 21, .9572260547429323},
                         Row{50, 18, 33, .9671608624357315}, Row{100, 40, 61, .9647997997822951}}) {
    const auto ranks = median_ranks(row.n);
    ASSERT_TRUE(ranks) << row.n;
    EXPECT_EQ(ranks->low, row.low) << row.n;
    EXPECT_EQ(ranks->high, row.high) << row.n;
    EXPECT_NEAR(ranks->coverage, row.coverage, 1e-9) << row.n;
  }
  for (std::int64_t n = -1; n <= 5; ++n) EXPECT_FALSE(median_ranks(n)) << n;
  EXPECT_TRUE(median_ranks(5000));  // 2^-5000 is no double
}

TEST(Stats, MedianIntervalTakesThoseRanks) {
  const auto interval = median_interval(Values{9, 8, 7, 6, 5, 4, 3, 2, 1});
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->low, 2);
  EXPECT_EQ(interval->high, 8);
  EXPECT_FALSE(median_interval(Values{1, 2, 3, 4, 5}));
}

TEST(Stats, StudentTIsThatOfPublishedTables) {
  const std::pair<std::int64_t, double> table[] = {{1, 12.706205}, {2, 4.302653},  {3, 3.182446},  {4, 2.776445},
                                                   {5, 2.570582},  {9, 2.262157},  {19, 2.093024}, {29, 2.045230},
                                                   {30, 2.042272}, {100, 1.983972}};
  for (const auto& [degrees, t] : table) EXPECT_NEAR(student_t_975(degrees), t, 1e-6) << degrees;
  EXPECT_NEAR(student_t_975(1'000'000), 1.959966, 1e-5);
  EXPECT_THROW(student_t_975(0), std::invalid_argument);
}

TEST(Stats, HalfWidthOfTheRoundIntervalIsThatOfTheRules) {
  // In units of s: R=5 1.24, R=10 0.72, R=20 0.47, R=30 0.37.
  for (const auto& [rounds, expected] :
       {std::pair{5, 1.24}, std::pair{10, 0.72}, std::pair{20, 0.47}, std::pair{30, 0.37}}) {
    Values values;
    for (int r = 0; r < rounds; ++r) values.push_back(r);
    const auto interval = mean_interval(values);
    ASSERT_TRUE(interval);
    const double s = std::sqrt(*moments(values).variance);
    EXPECT_NEAR((interval->high - interval->low) / 2 / s, expected, 0.005) << rounds;
  }
}

TEST(Stats, HeadlineIsTheMedianOfRoundMedians) {
  const std::vector<Round> rounds = {round_of(0, {1, 1, 100}), round_of(1, {3, 3, 3}), round_of(2, {5, 6, 4, 5})};
  const auto summary = summarise_times(rounds);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->median, 3);  // of 1, 3, 5; the pooled median would be 3.5
  EXPECT_EQ(summary->rounds, 3);
  EXPECT_EQ(summary->samples, 10);
  EXPECT_EQ(summary->fewest_samples, 3);
  EXPECT_EQ(summary->min, 1);
  EXPECT_EQ(summary->max, 100);
  EXPECT_NEAR(summary->mean, 13.1, 1e-12);
  ASSERT_TRUE(summary->interval);  // of ln 1, ln 3, ln 5; that of 1, 3, 5 themselves begins at -2
  EXPECT_NEAR(summary->interval->low, 0.31972163, 1e-7);
  EXPECT_NEAR(summary->interval->high, 19.0234301, 1e-6);
}

TEST(Stats, AnIntervalOfTimesStaysAboveZero) {
  EXPECT_NEAR(log_mean_interval(std::vector{1.0, 9.0, 0.5})->low, 0.038882683, 1e-8);
  EXPECT_FALSE(log_mean_interval(std::vector{1.0}));
  EXPECT_THROW(log_mean_interval(std::vector{1.0, 0.0}), std::invalid_argument);
}

TEST(Stats, OneRoundHasNoIntervalAndNoneHasNoSummary) {
  const auto one = summarise_times({round_of(0, {1, 2, 3}), round_of(1, {})});
  ASSERT_TRUE(one);
  EXPECT_EQ(one->median, 2);
  EXPECT_EQ(one->rounds, 1);
  EXPECT_FALSE(one->interval);
  EXPECT_FALSE(summarise_times({}));
  EXPECT_FALSE(summarise_times({round_of(0, {})}));
}

TEST(Stats, PairedRatioIsTheGeometricMeanWithAnIntervalOnLogs) {
  const Values a{2.0, 2.2, 1.9, 2.1}, b{1.0, 1.05, 1.0, 1.1};
  const auto ratio = paired_ratio(a, b);
  ASSERT_TRUE(ratio && ratio->interval);
  EXPECT_NEAR(ratio->ratio, 1.9745170898, 1e-9);
  EXPECT_NEAR(ratio->interval->low, 1.8356457270, 1e-6);
  EXPECT_NEAR(ratio->interval->high, 2.1238944316, 1e-6);
  EXPECT_EQ(ratio->rounds, 4);
  const auto turned = paired_ratio(b, a);
  EXPECT_NEAR(turned->ratio * ratio->ratio, 1, 1e-12);
  const auto single = paired_ratio(Values{3}, Values{2});
  ASSERT_TRUE(single);
  EXPECT_NEAR(single->ratio, 1.5, 1e-12);
  EXPECT_FALSE(single->interval);
  EXPECT_FALSE(paired_ratio(Values{}, Values{}));
  EXPECT_THROW(paired_ratio(Values{1}, Values{1, 2}), std::invalid_argument);
  EXPECT_THROW(paired_ratio(Values{0}, Values{1}), std::invalid_argument);
}

TEST(Stats, PairingTakesOutWhatARoundShares) {
  // Rounds differ twofold, the two stay 3 % apart in each: the ratio does not care.
  const Values b{1, 2, 1.5, 0.9};
  Values a;
  for (const double time : b) a.push_back(1.03 * time);
  const auto ratio = paired_ratio(a, b);
  EXPECT_NEAR(ratio->interval->low, 1.03, 1e-9);
  EXPECT_NEAR(ratio->interval->high, 1.03, 1e-9);
}

TEST(Stats, VerdictsFollowTheTable) {
  EXPECT_EQ(compare_times({0.90, 0.98}), Comparison::faster);
  EXPECT_EQ(compare_times({1.02, 1.10}), Comparison::slower);
  EXPECT_EQ(compare_times({0.995, 1.005}), Comparison::same);
  EXPECT_EQ(compare_times({0.98, 1.02}), Comparison::inconclusive);
  EXPECT_EQ(compare_times({0.90, 0.99}), Comparison::inconclusive);   // touches the band
  EXPECT_EQ(compare_times({0.995, 1.02}), Comparison::inconclusive);  // one end inside is not the same
  EXPECT_EQ(compare_times({0.98, 1.02}, 0.05), Comparison::same);
  EXPECT_EQ(to_string(Comparison::faster), "FASTER");
  EXPECT_EQ(to_string(Comparison::slower), "SLOWER");
  EXPECT_EQ(to_string(Comparison::same), "SAME");
  EXPECT_EQ(to_string(Comparison::inconclusive), "INCONCLUSIVE");
}

TEST(Stats, SettleDriftComparesHalves) {
  EXPECT_NEAR(*settle_drift({round_of(0, {1, 1, 2, 2})}), 1, 1e-12);
  EXPECT_NEAR(*settle_drift({round_of(0, {1, 1, 9, 2, 2})}), 1, 1e-12);  // the middle one belongs to neither
  EXPECT_NEAR(
      *settle_drift({round_of(0, {1, 1, 1.1, 1.1}), round_of(1, {1, 1, 1, 1}), round_of(2, {1, 1, 1.02, 1.02})}), 0.02,
      1e-12);
  EXPECT_NEAR(*settle_drift({round_of(0, {2, 2, 1, 1})}), -0.5, 1e-12);
  EXPECT_FALSE(settle_drift({round_of(0, {1, 2, 3})}));
  EXPECT_FALSE(settle_drift({}));
}

// Simulation, fixed seed: 10 rounds of 10 samples, rounds differ as much as samples do. Four standard errors of a
// share of 0.95 over 4000 sets are 1.4 %.
TEST(Stats, RoundIntervalCoversTheTruthAndPooledSamplesDoNot) {
  std::mt19937_64 generator(20260102);
  std::normal_distribution<double> normal;
  int covered = 0, pooled = 0;
  constexpr int kSets = 4000;
  for (int set = 0; set < kSets; ++set) {
    std::vector<Round> rounds;
    Values all;
    for (int r = 0; r < 10; ++r) {
      const double centre = 100 + normal(generator);
      Values times;
      for (int i = 0; i < 10; ++i) times.push_back(centre + normal(generator));
      all.insert(all.end(), times.begin(), times.end());
      rounds.push_back(round_of(r, times));
    }
    const auto interval = summarise_times(rounds)->interval;
    covered += interval->low <= 100 && 100 <= interval->high;
    const auto naive = median_interval(all);
    pooled += naive->low <= 100 && 100 <= naive->high;
  }
  EXPECT_GT(covered, 0.936 * kSets);
  EXPECT_LT(covered, 0.964 * kSets);
  EXPECT_LT(pooled, 0.70 * kSets);
}

// A against A: at most a twentieth of the intervals may exclude 1, and no verdict may claim a difference beyond that.
TEST(Stats, TheSameAgainstItselfIsRarelyDifferent) {
  std::mt19937_64 generator(7);
  std::normal_distribution<double> normal;
  int excluded = 0, claimed = 0;
  constexpr int kTrials = 200;
  for (int trial = 0; trial < kTrials; ++trial) {
    Values a, b;
    for (int r = 0; r < 10; ++r) {
      const double shared = 1 + 0.1 * std::abs(normal(generator));
      a.push_back(shared * (1 + 0.003 * normal(generator)));
      b.push_back(shared * (1 + 0.003 * normal(generator)));
    }
    const auto ratio = paired_ratio(a, b);
    excluded += ratio->interval->low > 1 || ratio->interval->high < 1;
    const Comparison verdict = compare_times(*ratio->interval);
    claimed += verdict == Comparison::faster || verdict == Comparison::slower;
  }
  EXPECT_LE(excluded, 19);
  EXPECT_EQ(claimed, 0);
}

}  // namespace
}  // namespace layercost

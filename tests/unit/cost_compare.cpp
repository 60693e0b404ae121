// Result files held against each other: what is the same work, and how often chance passes for a difference.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

// A run of the dense model's first point: rounds differ by 1 %, samples of a round by 2 %; `factor`: slower by that.
ResultFile run(std::mt19937_64& bits, double factor) {
  std::normal_distribution<double> normal;
  ResultFile file = fixture::result_file();
  file.points.resize(1);
  file.pairs.clear();
  for (PartRecord& part : file.points[0].parts) {
    part.labels.clear();
    const double time_s = (part.kind == "head" ? 0.0125 : 0.0625) * factor;
    const Round model = part.rounds[0];
    part.rounds.clear();
    for (std::int64_t r = 0; r < 10; ++r) {
      Round& round = part.rounds.emplace_back(model);
      round.index = r;
      const double level = time_s * std::exp(0.01 * normal(bits));
      round.samples.assign(30, model.samples[0]);
      for (Sample& sample : round.samples) {
        sample.time_s = level * std::exp(0.02 * normal(bits));
        sample.section_s = sample.time_s * 6;
      }
    }
  }
  return file;
}

std::array<int, 4> verdicts(double factor) {
  std::mt19937_64 bits(17);
  std::array<int, 4> count = {};
  for (int i = 0; i < 100; ++i) {
    const std::vector<ResultFile> files = {run(bits, 1), run(bits, factor)};
    ++count[static_cast<std::size_t>(*compare(files, 0).works.at(0).sides.at(1).verdict)];
  }
  return count;
}

TEST(compare, two_runs_of_the_same_are_not_called_different) {
  const auto count = verdicts(1);
  EXPECT_GE(count[static_cast<std::size_t>(Comparison::same)] +
                count[static_cast<std::size_t>(Comparison::inconclusive)],
            95);
}

TEST(compare, five_percent_are_found_in_both_directions) {
  EXPECT_GE(verdicts(1.05)[static_cast<std::size_t>(Comparison::slower)], 95);
  EXPECT_GE(verdicts(1 / 1.05)[static_cast<std::size_t>(Comparison::faster)], 95);
}

// Welch by hand: logs 0, 2 and 1, 3, 5: means 1 and 3, variances 2 and 4; standard error sqrt(2/2 + 4/3); degrees
// (7/3)^2 / (1/1 + (4/3)^2/2) = 2.88, rounded down to 2: t 4.302653 (Abramowitz and Stegun, table 26.10).
TEST(compare, ratio_of_two_runs_by_hand) {
  const std::vector<double> a = {1, std::exp(2)}, b = {std::exp(1), std::exp(3), std::exp(5)};
  const auto ratio = unpaired_ratio(log_moments(a), log_moments(b));
  ASSERT_TRUE(ratio && ratio->interval);
  EXPECT_NEAR(std::log(ratio->ratio), -2, 1e-12);
  EXPECT_NEAR(std::log(ratio->interval->high), -2 + 4.302653 * std::sqrt(7.0 / 3), 1e-5);
  EXPECT_NEAR(std::log(ratio->interval->low), -2 - 4.302653 * std::sqrt(7.0 / 3), 1e-5);
  EXPECT_FALSE(unpaired_ratio(log_moments(a), log_moments({a.data(), 1}))->interval);
}

struct Refused {
  const char* title;
  std::function<void(ResultFile&)> change;
  const char* member;
};

TEST(compare, what_differs_is_named_and_refused) {
  const auto at = [](auto member, auto value) {
    return [=](ResultFile& f) {
      for (PointRecord& p : f.points) p.*member = value;
    };
  };
  const Refused cases[] = {
      {"weights", at(&PointRecord::weight_type, "f8"), "weight_type: f8 here, bf16 there"},
      {"activations", at(&PointRecord::activation_type, "f32"), "activation_type: f32 here, bf16 there"},
      {"KV", at(&PointRecord::kv_type, "f8"), "kv_type: f8 here, bf16 there"},
      {"batch", at(&PointRecord::batch, 2), "batch: 2 here, 1 there"},
      {"context", at(&PointRecord::context, 8192), "context: 8192 here, 4096 there"},
      {"phase", at(&PointRecord::phase, "extend"), "phase: extend here, decode there"},
      {"routing", at(&PointRecord::routing, "zipf:1"), "routing: zipf:1 here,  there"},
      {"shard", at(&PointRecord::shard, "ep2"), "shard: ep2 here,  there"},
      {"digest", [](ResultFile& f) { f.models[0].digest = "00ff"; }, "digest: 00ff here, 11ee in A"},
      {"real weights", [](ResultFile& f) { f.models[0].weights_from = "mine"; }, "weights_from: mine here"},
      {"hidden", [](ResultFile& f) { f.models[0].hidden = 7; }, "hidden: 7 here, 1024 in A"},
      {"FLOPs", [](ResultFile& f) { f.points[0].parts[0].ops[0].flops *= 2; }, "FLOPs of a layer of 'dense'"},
      {"another kind", [](ResultFile& f) { f.points[0].parts[0].kind = "window"; }, "layers: 4 x window here"},
  };
  for (const Refused& c : cases) {
    std::vector<ResultFile> files = {fixture::result_file(), fixture::result_file()};
    for (ResultFile& f : files) {
      f.points.resize(1);
      f.models[0].digest = "11ee";
    }
    c.change(files[1]);
    const CompareReport report = compare(files, 0);
    EXPECT_TRUE(report.works.empty()) << c.title;
    bool told = false;
    for (const NotCompared& refused : report.refused) told |= refused.why.find(c.member) != std::string::npos;
    EXPECT_TRUE(told) << c.title << ": " << report.refused.at(1).why;
    ASSERT_EQ(report.refused.size(), 2u) << c.title;
  }
}

TEST(compare, a_device_and_digests_of_two_builds_may_differ) {
  std::vector<ResultFile> files = {fixture::result_file(), fixture::result_file()};
  for (PointRecord& p : files[1].points) p.device = "cuda:0";
  files[0].models[0].digest = "1";
  files[1].models[0].digest = "2";
  files[1].commit = "another";
  const CompareReport report = compare(files, 0);
  EXPECT_TRUE(report.refused.empty());
  EXPECT_EQ(report.works.size(), 18u);  // six points: whole, a layer, the head
  EXPECT_NE(report.works[0].sides[1].note.find("digests differ"), std::string::npos);
}

TEST(compare, unusable_points_are_shown_without_verdict_and_rank) {
  for (const Label label : {Label::thermal, Label::overhead_bound, Label::cache_partial}) {
    std::vector<ResultFile> files = {fixture::result_file(), fixture::result_file()};
    files[1].points[0].parts[0].labels.push_back(label);
    const ComparedWork work = compare(files, 0).works.at(0);
    EXPECT_TRUE(work.sides[1].time_s);
    EXPECT_FALSE(work.sides[1].verdict || work.sides[1].rank);
    EXPECT_FALSE(work.sides[1].why_no_verdict.empty());
    EXPECT_EQ(work.sides[0].rank, 1);
  }
}

// The same time at twice the price and half the use: four times the cost.
TEST(compare, costs_follow_price_and_utilisation) {
  std::vector<ResultFile> files = {fixture::result_file(), fixture::result_file()};
  files[1].price->usd_per_hour *= 2;
  files[1].price->utilisation = 0.5;
  const ComparedSide side = compare(files, 0).works.at(0).sides.at(1);
  EXPECT_NEAR(side.cost_ratio->ratio, 4, 1e-12);
  EXPECT_EQ(side.cost_verdict, Comparison::slower);
  EXPECT_NEAR(side.cost_ratio->interval->low, 4 * side.time_ratio->interval->low, 1e-12);
  for (const auto& [change, why] : std::initializer_list<std::pair<std::function<void(ResultFile&)>, const char*>>{
           {[](ResultFile& f) { f.price.reset(); }, "no price"},
           {[](ResultFile& f) { f.price->model = "rented"; }, "price.model: rented here, owned in the base"},
           {[](ResultFile& f) { f.price->retrieved_at = ""; }, "undated"}}) {
    std::vector<ResultFile> other = files;
    change(other[1]);
    const ComparedSide now = compare(other, 0).works.at(0).sides.at(1);
    EXPECT_FALSE(now.cost_ratio || now.cost_verdict);
    EXPECT_NE(now.why_no_cost.find(why), std::string::npos) << now.why_no_cost;
    EXPECT_TRUE(now.verdict);
  }
}

TEST(compare, ranks_have_ties) {
  std::mt19937_64 bits(3);
  const std::vector<ResultFile> files = {run(bits, 1), run(bits, 2), run(bits, 1)};
  const ComparedWork work = compare(files, 1).works.at(0);
  EXPECT_EQ(work.sides[0].file, 1u);
  EXPECT_EQ(work.sides[0].rank, 3);
  EXPECT_EQ(work.sides[1].rank, 1);
  EXPECT_EQ(work.sides[2].rank, 1);
  EXPECT_TRUE(work.sides[1].tied && !work.sides[0].tied);
}

TEST(compare, letters_go_on_behind_z) {
  EXPECT_EQ(file_letter(0), "A");
  EXPECT_EQ(file_letter(25), "Z");
  EXPECT_EQ(file_letter(26), "AA");
  EXPECT_EQ(file_letter(701), "ZZ");
  EXPECT_EQ(file_letter(702), "AAA");
}

}  // namespace
}  // namespace layercost

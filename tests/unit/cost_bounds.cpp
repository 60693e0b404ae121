// Roofline, composition and depth fits against values worked by hand.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "harness/cost/composition.h"
#include "harness/cost/summary.h"
#include "harness/result/labels.h"
#include "harness/result/roofline.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

using fixture::op;

Sample sample(double time_s, Roofs before, Roofs after, std::optional<double> distinct = {}) {
  Sample s;
  s.time_s = s.section_s = time_s;
  s.passes = 1;
  s.roofs_before = before;
  s.roofs_after = after;
  s.distinct_experts = distinct;
  return s;
}

TEST(Roofline, PossibleAddsTheOpsAndTheHardBoundDoesNot) {
  // 500 GFLOP/s, 20 GB/s. First op: 20 ms of arithmetic, 5 ms of bytes. Second: 2 ms and 50 ms.
  const std::vector<OpRecord> ops = {op("a", 10e9, 0.1e9), op("b", 1e9, 1e9)};
  EXPECT_NEAR(possible_s(ops, {20e9, 500e9}, 0), 0.070, 1e-12);
  EXPECT_NEAR(hard_bound_s(ops, {20e9, 500e9}, 0), 0.055, 1e-12);
}

TEST(Roofline, OnlyTouchedExpertsCount) {
  const std::vector<OpRecord> ops = {op("experts", 0, 0.1e9, 0.2e9)};
  EXPECT_NEAR(possible_s(ops, {20e9, 500e9}, 0), 0.005, 1e-12);
  EXPECT_NEAR(possible_s(ops, {20e9, 500e9}, 3.5), 0.040, 1e-12);
  EXPECT_NEAR(hard_bound_s(ops, {20e9, 500e9}, 3.5), 0.040, 1e-12);
}

// 20 GB/s; 500 GFLOP/s in the point's arithmetic, 400 in bf16 x q4_k, 300 in bf16 x q6_k.
Roofs three_arithmetics() { return {20e9, 500e9, {{"bf16 x q4_k", 400e9}, {"bf16 x q6_k", 300e9}}}; }

// Attention: 10 GFLOP in 20 ms, 0.1 GB in 5 ms. Experts: 8 GFLOP of q4_k in 20 ms, 3 of q6_k in 10 ms and 1 of anything
// else in 2 ms; 0.1 GB in 5 ms. Head: 0.5 GFLOP of q6_k in 1.67 ms, 0.5 GB in 25 ms.
std::vector<OpRecord> ops_of_three_arithmetics() {
  std::vector<OpRecord> ops = {op("attention", 10e9, 0.1e9), op("experts", 12e9, 0.1e9), op("head", 0.5e9, 0.5e9)};
  ops[1].product_flops = {{"bf16 x q4_k", 8e9}, {"bf16 x q6_k", 3e9}};
  ops[2].product_flops = {{"bf16 x q6_k", 0.5e9}};
  return ops;
}

TEST(Roofline, EachProductIsHeldAgainstItsArithmetic) {
  const std::vector<OpRecord> ops = ops_of_three_arithmetics();
  EXPECT_NEAR(possible_s(ops, three_arithmetics(), 0), 0.020 + 0.032 + 0.025, 1e-12);
  // Of all ops 35 ms of bytes, 22 ms of 11 GFLOP in the point's own arithmetic, 20 ms of q4_k, 11.7 ms of q6_k.
  EXPECT_NEAR(hard_bound_s(ops, three_arithmetics(), 0), 0.035, 1e-12);
  std::vector<OpRecord> no_bytes = ops;
  for (OpRecord& each : no_bytes) each.bytes = 0;
  EXPECT_NEAR(hard_bound_s(no_bytes, three_arithmetics(), 0), 0.022, 1e-12);
  no_bytes[1].product_flops["bf16 x q4_k"] = 10e9;
  no_bytes[1].flops = 14e9;
  EXPECT_NEAR(hard_bound_s(no_bytes, three_arithmetics(), 0), 0.025, 1e-12);
  // As files before 1.5 have it, and as the vendor's figures are used: one rate for all.
  EXPECT_NEAR(possible_s(ops, {20e9, 500e9}, 0), 0.020 + 0.024 + 0.025, 1e-12);
}

TEST(Roofline, WithoutTheRateOfAnArithmeticThereIsNoBound) {
  PartRecord part = fixture::part("moe", 1, 0.1, ops_of_three_arithmetics());
  part.rounds = {{0, {sample(0.1, three_arithmetics(), three_arithmetics())}}};
  EXPECT_NEAR(bounds_of(part).value().possible_fraction, 0.77, 1e-12);
  part.rounds[0].samples[0].roofs_after.product_flops_per_s.erase("bf16 x q6_k");
  EXPECT_FALSE(bounds_of(part));
  NominalRecord nominal;
  nominal.read_bytes_per_s = 20e9;
  nominal.flops_per_s = 500e9;
  EXPECT_NEAR(*nominal_fraction(part, nominal), 0.69, 1e-12);  // the vendor's is there all the same
}

// 30 GFLOP: 60 ms in the point's arithmetic, 300 ms in f32 at 100 GFLOP/s, 30 ms in bf16 x q8_0 at 1000 GFLOP/s.
TEST(Roofline, ImpossibleIsOfTheArithmeticThatIsUsed) {
  const auto impossible = [](std::map<std::string, double> products, double time_s) {
    PartRecord part = fixture::part("dense", 1, time_s, {op("mlp", 30e9, 0)});
    part.ops[0].product_flops = std::move(products);
    const Roofs roofs{20e9, 500e9, {{"f32", 100e9}, {"bf16 x q8_0", 1000e9}}};
    part.rounds = {{0, {sample(time_s, roofs, roofs)}}};
    return bounds_of(part).value().impossible;
  };
  EXPECT_FALSE(impossible({}, 0.2));
  EXPECT_TRUE(impossible({{"f32", 30e9}}, 0.2));  // f32 is not as fast as that
  EXPECT_FALSE(impossible({{"f32", 30e9}}, 0.3));
  EXPECT_TRUE(impossible({}, 0.04));
  EXPECT_FALSE(impossible({{"bf16 x q8_0", 30e9}}, 0.04));  // and q8_0 is faster than bf16
  EXPECT_TRUE(impossible({{"bf16 x q8_0", 30e9}}, 0.029));
}

TEST(Roofline, ARateIsTheMeanOfTheProbesAroundToo) {
  const auto roofs =
      roofs_of(sample(1, {10e9, 100e9, {{"f32", 40e9}, {"bf16 x q8_0", 1}}}, {30e9, 300e9, {{"f32", 60e9}}}));
  ASSERT_TRUE(roofs);
  EXPECT_EQ(roofs->product_flops_per_s, (std::map<std::string, double>{{"f32", 50e9}}));
}

TEST(Roofline, ARoofIsTheMeanOfTheProbesAround) {
  const auto roofs = roofs_of(sample(1, {10e9, 100e9}, {30e9, 300e9}));
  ASSERT_TRUE(roofs);
  EXPECT_EQ(roofs->read_bytes_per_s, 20e9);
  EXPECT_EQ(roofs->flops_per_s, 200e9);
  EXPECT_FALSE(roofs_of(sample(1, {10e9, 100e9}, {})));
  EXPECT_FALSE(roofs_of(sample(1, {}, {10e9, 100e9})));
}

TEST(Roofline, EachSampleIsHeldAgainstItsOwnProbes) {
  // The machine doubles its bandwidth; the layer follows. Every sample reaches its limit, so the share is 1. One roof
  // for all (15 GB/s) would give 0.67 and 1.33.
  PartRecord part = fixture::part("dense", 1, 1, {op("mlp", 0, 1e9)});
  const Roofs slow{10e9, 1e12}, fast{20e9, 1e12};
  part.rounds = {
      {0, {sample(0.1, slow, slow), sample(0.05, fast, fast), sample(0.1, slow, slow), sample(0.05, fast, fast)}}};
  const auto bounds = bounds_of(part);
  ASSERT_TRUE(bounds);
  EXPECT_NEAR(bounds->possible_fraction, 1, 1e-12);
  EXPECT_NEAR(bounds->hard_fraction, 1, 1e-12);
  EXPECT_FALSE(bounds->impossible);
}

TEST(Roofline, TheVendorsFiguresAreASecondYardstick) {
  // 1 GB in 0.1 s: half of what 20 GB/s allow, a quarter of 40 GB/s.
  PartRecord part = fixture::part("dense", 1, 1, {op("mlp", 0, 1e9)});
  part.rounds = {{0, {sample(0.1, {20e9, 1e12}, {20e9, 1e12})}}};
  NominalRecord nominal;
  nominal.read_bytes_per_s = 40e9;
  nominal.flops_per_s = 1e15;
  EXPECT_NEAR(*nominal_fraction(part, nominal), 0.25, 1e-12);
  EXPECT_NEAR(bounds_of(part)->possible_fraction, 0.5, 1e-12);
  part.rounds.clear();
  EXPECT_FALSE(nominal_fraction(part, nominal));
}

TEST(Roofline, ImpossibleBeginsTwoPercentAboveTheHardBound) {
  PartRecord part = fixture::part("dense", 1, 1, {op("mlp", 0, 1e9)});  // 50 ms at 20 GB/s
  const auto with_time = [&](double time_s) {
    part.rounds = {{0, {sample(time_s, fixture::kRoofs, fixture::kRoofs)}}};
    return bounds_of(part)->impossible;
  };
  EXPECT_FALSE(with_time(0.05));
  EXPECT_FALSE(with_time(0.05 / 1.019));
  EXPECT_TRUE(with_time(0.05 / 1.021));
  // Ops that overlap may beat the sum of the ops, never the larger of the sums.
  part.ops = {op("a", 20e9, 0), op("b", 0, 1e9)};  // possible 40 + 50 ms, hard 50 ms
  EXPECT_FALSE(with_time(0.06));
  EXPECT_NEAR(bounds_of(part)->possible_fraction, 1.5, 1e-12);
}

TEST(Roofline, MedianDecidesAboutImpossible) {
  PartRecord part = fixture::part("dense", 1, 1, {op("mlp", 0, 1e9)});
  part.rounds = {{0,
                  {sample(0.04, fixture::kRoofs, fixture::kRoofs), sample(0.06, fixture::kRoofs, fixture::kRoofs),
                   sample(0.06, fixture::kRoofs, fixture::kRoofs)}}};
  EXPECT_FALSE(bounds_of(part)->impossible);
}

TEST(Roofline, WithoutProbesOrExpertsThereIsNoBound) {
  PartRecord part = fixture::part("moe", 1, 1, {op("experts", 0, 0, 1e9)});
  EXPECT_FALSE(bounds_of(part));  // how many experts? unknown: leaving their bytes out would be a bound that flatters
  part.routing = RoutingRecord{};
  part.routing->distinct_experts = 2;
  EXPECT_TRUE(bounds_of(part));
  part.rounds[0].samples[0].roofs_after = {};
  EXPECT_FALSE(bounds_of(part));
  EXPECT_FALSE(bounds_of(fixture::part("moe", 1, 1, {})));
  part.rounds.clear();
  EXPECT_FALSE(bounds_of(part));
}

TEST(Composition, SumsCountTimesTime) {
  const ResultFile file = fixture::result_file();
  const Composition dense = compose(file.points[0]);
  EXPECT_EQ(dense.outcome, Outcome::measured);
  EXPECT_NEAR(*dense.time_s, 4 * 0.0625 + 0.0125, 1e-12);
  EXPECT_NEAR(*dense.tokens_per_s, 3.80952380952, 1e-9);
  // 0.8 of the time at the median sample, whose factor is 1.02 * 0.98 = 0.9996 (the 8th of 15 products).
  EXPECT_NEAR(*dense.possible_fraction, 0.8 / 0.9996, 1e-9);
  EXPECT_NEAR(*dense.possible_s, 0.8 / 0.9996 * 0.2625, 1e-9);
  const Composition prefill = compose(file.points[4]);
  EXPECT_NEAR(*prefill.time_s, 10.5, 1e-12);
  EXPECT_NEAR(*prefill.tokens_per_s, 512 / 10.5, 1e-9);
  EXPECT_NEAR(*compose(file.points[2]).tokens_per_s, 8 / 0.272, 1e-9);
}

TEST(Composition, IntervalIsOfSumsInsideEachRound) {
  // Rounds of the parts move against each other, so the sum is the same in every round.
  ResultFile file = fixture::result_file();
  PointRecord& point = file.points[0];
  point.parts[0].count = 1;
  const auto rounds = [](std::vector<double> times) {
    std::vector<Round> result;
    for (std::size_t r = 0; r < times.size(); ++r) {
      result.push_back({static_cast<std::int64_t>(r), {sample(times[r], fixture::kRoofs, fixture::kRoofs)}});
    }
    return result;
  };
  point.parts[0].rounds = rounds({1, 2, 3});
  point.parts[1].rounds = rounds({3, 2, 1});
  const Composition steady = compose(point);
  EXPECT_NEAR(steady.time_interval->low, 4, 1e-12);
  EXPECT_NEAR(steady.time_interval->high, 4, 1e-12);
  point.parts[1].rounds = rounds({1, 2, 3});  // 2, 4, 6, on the logarithm
  const Composition moving = compose(point);
  EXPECT_NEAR(moving.time_interval->low, 0.91424352, 1e-7);
  EXPECT_NEAR(moving.time_interval->high, 14.4465985, 1e-6);
  // Only rounds that both have, by their index.
  point.parts[1].rounds = rounds({9, 2, 3, 7});
  point.parts[1].rounds[0].index = 12;
  const auto shared = composed_rounds(point);
  ASSERT_EQ(shared.size(), 2u);
  EXPECT_EQ(shared[0].index, 1);
  EXPECT_NEAR(shared[0].time_s, 4, 1e-12);
  EXPECT_NEAR(shared[1].time_s, 6, 1e-12);
  point.parts[1].rounds.resize(1);  // none in common
  EXPECT_FALSE(compose(point).time_interval);
  EXPECT_TRUE(compose(point).time_s);
}

TEST(Composition, OneRoundHasNoInterval) {
  ResultFile file = fixture::result_file();
  for (PartRecord& part : file.points[0].parts) part.rounds.resize(1);
  const Composition composed = compose(file.points[0]);
  EXPECT_TRUE(composed.time_s);
  EXPECT_FALSE(composed.time_interval);
}

TEST(Composition, IsMeasuredOnlyIfAllPartsAre) {
  for (const OutcomeText& text : outcome_texts()) {
    if (text.outcome == Outcome::measured) continue;
    ResultFile file = fixture::result_file();
    PartRecord& part = file.points[1].parts[0];
    part.outcome = text.outcome;
    part.why = "because";
    const Composition composed = compose(file.points[1]);
    EXPECT_EQ(composed.outcome, text.outcome);
    EXPECT_EQ(composed.why, "moe: because");
    EXPECT_FALSE(composed.time_s);
    EXPECT_FALSE(composed.tokens_per_s);
    EXPECT_FALSE(composed.possible_s);
  }
}

TEST(Composition, TheGravestOutcomeSpeaks) {
  ResultFile file = fixture::result_file();
  file.points[0].parts[0].outcome = Outcome::skipped;
  file.points[0].parts[1].outcome = Outcome::wrong;
  EXPECT_EQ(compose(file.points[0]).outcome, Outcome::wrong);
}

TEST(Composition, OutOfMemoryWithoutWordsNamesTheBytes) {
  ResultFile file = fixture::result_file();
  PartRecord& part = file.points[0].parts[0];
  part.outcome = Outcome::out_of_memory;
  part.why.clear();
  part.need_bytes = 66'100'000'000;
  part.have_bytes = 16'800'000'000;
  EXPECT_EQ(compose(file.points[0]).why, "dense: needs 66.1 GB, there are 16.8 GB");
}

TEST(Composition, DepthFitSeparatesOverheadFromLayer) {
  DepthRecord record = fixture::depths({}, "dense", {1, 2, 4}, {3, 5, 9});
  const auto fit = fit_depth(record);
  ASSERT_TRUE(fit && fit->residual);
  EXPECT_NEAR(fit->overhead_s, 1, 1e-12);
  EXPECT_NEAR(fit->layer_s, 2, 1e-12);
  EXPECT_NEAR(*fit->residual, 0, 1e-12);
  EXPECT_NEAR(fit->spread, 3 / 2.25 - 1, 1e-12);
  EXPECT_TRUE(fit->additive());

  record.depths = {1, 2, 4, 8};
  record.time_s = {1.0, 1.99, 4.02, 7.98};
  const auto near = fit_depth(record);
  EXPECT_NEAR(near->overhead_s, 0.005652173913, 1e-9);
  EXPECT_NEAR(near->layer_s, 0.997826086957, 1e-9);
  EXPECT_NEAR(*near->residual, 0.005732208523, 1e-9);

  record.time_s = {1, 2, 4, 6.4};  // the last four layers are a fifth cheaper
  EXPECT_NEAR(*fit_depth(record)->residual, 0.250434782609, 1e-9);
  EXPECT_FALSE(fit_depth(record)->additive());

  record.depths = {1, 2};
  record.time_s = {1, 5};
  ASSERT_TRUE(fit_depth(record));
  EXPECT_FALSE(fit_depth(record)->residual);  // two points fit any line
  record.depths = {2, 2};
  EXPECT_FALSE(fit_depth(record));
  record.depths = {2};
  record.time_s = {1};
  EXPECT_FALSE(fit_depth(record));
}

TEST(Composition, IsWithheldWhereLayersDoNotAddUp) {
  ResultFile file = fixture::result_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2, 4, 8}, {1, 2, 4, 6.4})};
  const Summary summary = summarise(file);
  EXPECT_EQ(summary.models[1].outcome, Outcome::skipped);
  EXPECT_FALSE(summary.models[1].time_s);
  EXPECT_FALSE(summary.models[1].usd_per_mtok);
  EXPECT_NE(summary.models[1].why.find("25.0 % off a straight line"), std::string::npos) << summary.models[1].why;
  EXPECT_TRUE(summary.models[1].parts[0].time_s);  // the layer itself stays
  EXPECT_TRUE(summary.models[3].time_s);           // other batch
  EXPECT_FALSE(summary.tradeoffs[0].paid);         // and so is what would be computed from it
  EXPECT_TRUE(summary.tradeoffs[1].paid);
}

// Four layers of 25 ms each by themselves; the stacks say 4 x 30 ms, on a line without a flaw.
TEST(Composition, IsWithheldWhereAStraightLineIsAnotherOne) {
  ResultFile file = fixture::result_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2, 4}, {0.03, 0.06, 0.12})};
  Summary summary = summarise(file);
  EXPECT_NEAR(*summary.depths[0].fit->off_layer, 0.2, 1e-12);
  EXPECT_FALSE(summary.depths[0].fit->additive());
  EXPECT_EQ(summary.models[1].outcome, Outcome::skipped);
  EXPECT_NE(summary.models[1].why.find("4 layers of moe take 120 ms by stacks of growing depth and 100 ms"),
            std::string::npos)
      << summary.models[1].why;

  file.depths[0].time_s = {0.027, 0.054, 0.108};  // 8 % more
  summary = summarise(file);
  EXPECT_NEAR(*summary.depths[0].fit->off_layer, 0.08, 1e-12);
  EXPECT_TRUE(summary.depths[0].fit->additive());
  EXPECT_NEAR(*summary.models[1].time_s, 4 * 0.025 + 0.0125, 1e-12);

  file.depths[0] = fixture::depths(file.points[1], "moe", {1, 2}, {0.03, 0.06});
  EXPECT_FALSE(summarise(file).depths[0].fit->off_layer);  // two depths claim nothing
  file.depths[0] = fixture::depths(file.points[1], "dense", {1, 2, 4}, {0.03, 0.06, 0.12});
  EXPECT_FALSE(summarise(file).depths[0].fit->off_layer);  // no such layers here
}

TEST(Summary, AddsTheLabelsThatSamplesShow) {
  ResultFile file = fixture::result_file();
  file.points[0].parts[0].labels.clear();  // 3 rounds of 5 samples are preliminary, whether the record says so or not
  EXPECT_EQ(summarise(file).models[0].parts[0].labels, std::vector<Label>{Label::preliminary});
  file.points[0].parts[0].rounds = fixture::rounds(0.04);  // 50 ms of bytes in 40 ms
  EXPECT_EQ(summarise(file).models[0].parts[0].labels, (std::vector<Label>{Label::preliminary, Label::impossible}));
  EXPECT_EQ(summarise(file).models[0].labels, (std::vector<Label>{Label::preliminary, Label::impossible}));
  EXPECT_EQ(summarise(file).common_labels, std::vector<Label>{Label::preliminary});
}

TEST(Summary, TenRoundsOfThirtyAreAHeadline) {
  ResultFile file = fixture::result_file();
  PartRecord& part = file.points[0].parts[0];
  part.labels.clear();
  Round round = part.rounds[0];
  round.samples.assign(30, round.samples[1]);
  part.rounds.assign(10, round);
  EXPECT_TRUE(summarise(file).models[0].parts[0].labels.empty());
  part.rounds[4].samples.pop_back();
  EXPECT_EQ(summarise(file).models[0].parts[0].labels, std::vector<Label>{Label::preliminary});
}

TEST(Summary, EveryPointAndPartHasItsRow) {
  ResultFile file = fixture::result_file();
  for (std::size_t i = 0; i < file.points.size(); ++i) file.points[i].parts[0].outcome = static_cast<Outcome>(i % 6);
  const Summary summary = summarise(file);
  ASSERT_EQ(summary.models.size(), file.points.size());
  std::int64_t parts = 0;
  for (const auto& [outcome, count] : summary.outcomes) parts += count;
  EXPECT_EQ(parts, 12);
  EXPECT_EQ(summary.outcomes.at(Outcome::wrong), 1);
  for (std::size_t i = 0; i < file.points.size(); ++i) {
    ASSERT_EQ(summary.models[i].parts.size(), 2u);
    EXPECT_EQ(summary.models[i].parts[0].outcome, file.points[i].parts[0].outcome);
    EXPECT_EQ(summary.models[i].parts[0].time_s.has_value(), i == 0);
  }
}

TEST(Summary, SaysWhatDoesNotFit) {
  ResultFile file = fixture::result_file();
  Summary summary = summarise(file);
  EXPECT_EQ(summary.models[0].fits, true);
  EXPECT_EQ(summary.models[0].note, "");
  EXPECT_EQ(summary.models[1].fits, false);
  EXPECT_EQ(summary.models[1].note, "hypothetical: does not fit");
  EXPECT_EQ(summary.models[1].memory_required_bytes, 21.5e9);
  file.points[1].memory = {};
  summary = summarise(file);
  EXPECT_FALSE(summary.models[1].fits);  // unknown is neither
  EXPECT_FALSE(summary.models[1].memory_required_bytes);
}

TEST(Summary, RoofsAreMediansOverSamples) {
  ResultFile file = fixture::result_file();
  const Summary summary = summarise(file);
  ASSERT_EQ(summary.roofs.size(), 1u);
  EXPECT_EQ(summary.roofs[0].arithmetic, "bf16");
  EXPECT_EQ(summary.roofs[0].read_bytes_per_s, 20e9);
  EXPECT_EQ(summary.roofs[0].flops_per_s, 500e9);
}

// Weights that are decoded on the way do not make another compute roof: products are computed in the activations' type.
TEST(Summary, RoofsAreOfTheArithmeticNotOfTheWeights) {
  ResultFile file = fixture::result_file();
  for (PointRecord& point : file.points) point.weight_type = "fp8_block128";
  file.nominal = NominalRecord{"h100", "bf16", 1e15, 3e12, "s", "2026-01-01", "s", "2026-01-01"};
  const Summary summary = summarise(file);
  ASSERT_EQ(summary.roofs.size(), 1u);
  EXPECT_EQ(summary.roofs[0].arithmetic, "bf16");
  EXPECT_TRUE(summary.models[0].parts[0].nominal_fraction);
}

TEST(Summary, EveryArithmeticThatIsUsedHasItsRoof) {
  ResultFile file = fixture::result_file();
  for (Round& round : file.points[0].parts[0].rounds)
    for (Sample& sample : round.samples)
      sample.roofs_before.product_flops_per_s = sample.roofs_after.product_flops_per_s = {{"bf16 x q8_0", 300e9}};
  const Summary summary = summarise(file);
  ASSERT_EQ(summary.roofs.size(), 2u);
  EXPECT_EQ(summary.roofs[0].arithmetic, "bf16");
  EXPECT_EQ(summary.roofs[0].flops_per_s, 500e9);
  EXPECT_EQ(summary.roofs[1].arithmetic, "bf16 x q8_0");
  EXPECT_EQ(summary.roofs[1].flops_per_s, 300e9);
  EXPECT_EQ(summary.roofs[1].read_bytes_per_s, 20e9);
}

}  // namespace
}  // namespace layercost

// Promised, possible, paid and the crossover, worked by hand from the numbers of result_fixture.h.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "harness/cost/tradeoff.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

TEST(Tradeoff, PromisedPossiblePaid) {
  const auto rows = tradeoffs(fixture::result_file());
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].phase, "decode");
  EXPECT_EQ(rows[0].batch, 1);
  EXPECT_EQ(rows[1].batch, 8);
  EXPECT_EQ(rows[2].phase, "prefill");
  EXPECT_EQ(rows[0].routing, "uniform");
  for (const TradeoffRow& row : rows) EXPECT_NEAR(*row.promised, 4, 1e-12);
  // decode 1: dense 4 x 50 + 10 ms = 210; moe 4 x (5 + 10) + 10 = 70.
  EXPECT_NEAR(*rows[0].possible, 3, 1e-12);
  // decode 8: dense the same; moe 4 x (5 + 20) + 10 = 110.
  EXPECT_NEAR(*rows[1].possible, 210.0 / 110, 1e-12);
  // prefill: all arithmetic. dense 4 x 2.048 + 0.4096 = 8.6016 s; moe 4 x 0.6144 + 0.4096 = 2.8672 s.
  EXPECT_NEAR(*rows[2].possible, 3, 1e-12);
  EXPECT_NEAR(rows[0].paid->ratio, 0.2625 / 0.1125, 1e-12);
  EXPECT_NEAR(rows[1].paid->ratio, 0.272 / 0.336, 1e-12);
  EXPECT_NEAR(rows[2].paid->ratio, 10.5 / 5.5, 1e-12);
  EXPECT_EQ(rows[0].paid->rounds, 3);
  EXPECT_EQ(rows[0].verdict, Payoff::cheaper);
  EXPECT_EQ(rows[1].verdict, Payoff::dearer);
}

// Parameters 4 and 10 billion; FLOPs of a step 4 x 2 + 0.4 and 4 x 0.6 + 0.4 billion at batch 1; bytes 4 x 1 + 0.2 GB
// and, with 2 and 4 experts touched, 4 x 0.3 + 0.2 and 4 x 0.5 + 0.2.
TEST(Tradeoff, SaysWhichComparisonAPairIs) {
  ResultFile file = fixture::result_file();
  const auto rows = tradeoffs(file);
  EXPECT_NEAR(*rows[0].like.total, 0.4, 1e-12);
  EXPECT_NEAR(*rows[0].like.active, 4, 1e-12);
  EXPECT_NEAR(*rows[0].like.flops, 3, 1e-12);
  EXPECT_NEAR(*rows[0].like.bytes, 3, 1e-12);
  EXPECT_NEAR(*rows[1].like.bytes, 4.2 / 2.2, 1e-12);
  EXPECT_TRUE(alike_in(rows[0].like).empty());

  using Names = std::vector<std::string_view>;
  file.models[0].parameters_total = 10'500'000'000;
  EXPECT_EQ(alike_in(tradeoffs(file)[0].like), Names{"iso-total"});
  file.models[0].parameters_total = 11'500'000'000;  // 15 % more is not as much
  EXPECT_EQ(alike_in(tradeoffs(file)[0].like), Names{});
  file.models[0].parameters_active = 950'000'000;
  for (PartRecord& part : file.points[0].parts)
    for (OpRecord& op : part.ops) op.flops /= 3, op.bytes /= 2.8;
  EXPECT_EQ(alike_in(tradeoffs(file)[0].like), (Names{"iso-active", "iso-FLOP", "iso-byte"}));
  // What no part tells is not guessed.
  file.points[0].parts[0].ops.clear();
  EXPECT_FALSE(tradeoffs(file)[0].like.flops || tradeoffs(file)[0].like.bytes);
  file.models.erase(file.models.begin());
  EXPECT_FALSE(tradeoffs(file)[0].like.total || tradeoffs(file)[0].promised);
}

TEST(Tradeoff, PossibleDoesNotContainTheMachinesMood) {
  // The MoE was measured while the machine read twice as fast: paid changes, physics does not.
  ResultFile file = fixture::result_file();
  for (PointRecord& point : file.points) {
    if (point.model != "tiny-moe") continue;
    for (PartRecord& part : point.parts) {
      for (Round& round : part.rounds) {
        for (Sample& sample : round.samples)
          sample.roofs_before.read_bytes_per_s = sample.roofs_after.read_bytes_per_s = 40e9;
      }
    }
  }
  // Both at the median of 20 and 40 GB/s: 30. dense 4 x (3.33 + 30) + 6.67 ms = 140; moe 4 x (3.33 + 6.67) + 6.67 =
  // 46.67.
  EXPECT_NEAR(*tradeoffs(file)[0].possible, 3, 1e-12);
  // With an MoE that is all arithmetic (100 ms a layer) the limits do not cancel: 140 against 4 x 100 + 6.67 ms. At
  // each model's own limits it would be 210 against 405.
  file.points[1].parts[0].ops = {fixture::op("experts", 50e9, 0)};
  EXPECT_NEAR(*tradeoffs(file)[0].possible, 0.14 / (0.4 + 0.2 / 30), 1e-12);
}

TEST(Tradeoff, WeakProductsOnAGpuPayNothing) {
  ResultFile file = fixture::result_file();
  for (PointRecord& point : file.points) point.device = "cuda:0";
  for (const TradeoffRow& row : tradeoffs(file)) {
    EXPECT_FALSE(row.paid || row.verdict);
    EXPECT_NE(row.why.find("without cuBLASLt"), std::string::npos) << row.why;
    EXPECT_TRUE(row.possible);
  }
  // At hand but slower than ours, as for one row on an H100: nothing is weak.
  file.environment.libraries["cuBLASLt"] = "13.1.0";
  for (const TradeoffRow& row : tradeoffs(file)) EXPECT_TRUE(row.paid) << row.why;
  // Pinned, or because the library refused the case: our own tiles are half as fast. Not so where they won a trial.
  const auto products = [&](std::vector<TriedVariant> tried) {
    for (PointRecord& point : file.points)
      for (PartRecord& part : point.parts)
        if (!part.ops.empty()) {
          part.ops.front().case_text = "linear m=2048 n=64 k=64 x_type=bf16 w_type=bf16 y_type=bf16";
          part.ops.front().variant = "cuda_tiles";
          part.ops.front().tried = tried;
        }
  };
  products({});
  for (const TradeoffRow& row : tradeoffs(file)) EXPECT_FALSE(row.paid) << row.dense;
  products({{"cublaslt", 2e-3}, {"cuda_tiles", 1e-3}});
  for (const TradeoffRow& row : tradeoffs(file)) EXPECT_TRUE(row.paid) << row.why;
}

TEST(Tradeoff, PaidIsPairedByRound) {
  ResultFile file = fixture::result_file();
  // Rounds twice and three times as slow for both: the ratio and its interval stay.
  for (const std::size_t p : {0u, 1u}) {
    for (PartRecord& part : file.points[p].parts) {
      for (Round& round : part.rounds) {
        for (Sample& sample : round.samples) sample.time_s *= static_cast<double>(round.index + 1);
      }
    }
  }
  const auto rows = tradeoffs(file);
  EXPECT_NEAR(rows[0].paid->interval->low, 0.2625 / 0.1125, 1e-9);
  EXPECT_NEAR(rows[0].paid->interval->high, 0.2625 / 0.1125, 1e-9);
  // One common round: a number, no interval, no claim.
  for (PartRecord& part : file.points[1].parts) part.rounds.resize(1);
  const auto single = tradeoffs(file);
  EXPECT_EQ(single[0].paid->rounds, 1);
  EXPECT_FALSE(single[0].paid->interval);
  EXPECT_EQ(single[0].verdict, Payoff::cannot_tell);
}

TEST(Tradeoff, NothingIsGuessed) {
  ResultFile file = fixture::result_file();
  file.points[1].parts[0].outcome = Outcome::wrong;
  file.points[1].parts[0].why = "row 3 is off";
  file.points[1].parts[0].rounds.clear();
  const auto rows = tradeoffs(file);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_TRUE(rows[0].promised);
  EXPECT_FALSE(rows[0].possible);
  EXPECT_FALSE(rows[0].paid);
  EXPECT_FALSE(rows[0].verdict);
  EXPECT_EQ(rows[0].why, "tiny-moe: moe: row 3 is off");
  file.models[0].parameters_active = 0;
  EXPECT_FALSE(tradeoffs(file)[0].promised);
}

TEST(Tradeoff, OnlyTheSameScenarioIsCompared) {
  for (int change = 0; change < 6; ++change) {
    ResultFile file = fixture::result_file();
    file.points.resize(2);
    PointRecord& moe = file.points[1];
    if (change == 0) moe.batch = 2;
    if (change == 1) moe.context = 1;
    if (change == 2) moe.weight_type = "f32";
    if (change == 3) moe.kv_type = "f32";
    if (change == 4) moe.device = "cuda:0";
    if (change == 5) moe.phase = "prefill";
    EXPECT_TRUE(tradeoffs(file).empty()) << change;
  }
}

TEST(Tradeoff, EachRoutingOfTheMoeIsARow) {
  ResultFile file = fixture::result_file();
  file.points.push_back(file.points[1]);
  file.points.back().routing = "zipf:1";
  EXPECT_EQ(tradeoffs(file).size(), 4u);
}

TEST(Tradeoff, CrossoverIsInterpolatedInLogs) {
  const auto found = crossovers(tradeoffs(fixture::result_file()));
  ASSERT_EQ(found.size(), 1u);  // prefill has one batch
  EXPECT_EQ(found[0].kind, CrossoverKind::between);
  EXPECT_EQ(found[0].below, 1);
  EXPECT_EQ(found[0].above, 8);
  EXPECT_NEAR(*found[0].batch, 5.282307962779473, 1e-9);
}

TEST(Tradeoff, CrossoverOutsideTheMeasuredBatches) {
  const auto row = [](std::int64_t batch, double paid) {
    TradeoffRow r;
    r.dense = "d", r.moe = "m", r.phase = "decode", r.batch = batch;
    r.paid = Ratio{paid, std::nullopt, 1};
    return r;
  };
  auto found = crossovers({row(8, 1.5), row(1, 2)});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, CrossoverKind::not_reached);
  EXPECT_FALSE(found[0].batch);
  EXPECT_EQ(found[0].above, 8);
  found = crossovers({row(1, 0.9), row(8, 2)});
  EXPECT_EQ(found[0].kind, CrossoverKind::from_smallest);
  EXPECT_FALSE(found[0].batch);
  found = crossovers({row(64, 0.5), row(1, 2), row(4, 1), row(16, 1.5)});  // the first one counts, in order of batch
  EXPECT_EQ(found[0].kind, CrossoverKind::between);
  EXPECT_NEAR(*found[0].batch, 4, 1e-9);
  TradeoffRow unpaid = row(4, 1);
  unpaid.paid.reset();
  EXPECT_TRUE(crossovers({row(1, 2), unpaid}).empty());
}

}  // namespace
}  // namespace layercost

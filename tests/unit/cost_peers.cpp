// Other programs' times against ours, and paid per implementation, worked by hand from result_fixture.h's peers_file().
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/peers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/cost/summary.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

constexpr double kT1 = 12.706204736;  // Student's t, 97.5 %, one degree of freedom

TEST(Peers, TimesAndRatiosByRound) {
  const auto rows = layers_beside_peers(fixture::peers_file());
  ASSERT_EQ(rows.size(), 4u);  // batch 1 dense and moe, batch 8 dense and moe; no prefill, no head
  EXPECT_EQ(rows[0].model, "tiny-dense");
  EXPECT_EQ(rows[0].kind, "dense");
  EXPECT_EQ(rows[1].model, "tiny-moe");
  EXPECT_EQ(rows[1].routing, "uniform");
  EXPECT_EQ(rows[2].batch, 8);
  EXPECT_NEAR(*rows[0].time_s, 0.0625, 1e-12);
  EXPECT_NEAR(*rows[0].possible_fraction, 0.8, 1e-3);  // 50 of 62.5 ms
  ASSERT_EQ(rows[0].peers.size(), 2u);
  ASSERT_EQ(rows[2].peers.size(), 1u);
  const PeerTime &torch = rows[0].peers[0], &llama = rows[0].peers[1];
  EXPECT_EQ(torch.implementation, "pytorch");
  EXPECT_NEAR(*torch.time_s, 0.1, 1e-12);
  // Round medians 100, 102, 98 ms: exp(mean(ln y) + 4.302653 s / sqrt(3)), s of ln y.
  EXPECT_NEAR(torch.time_interval->high, 0.10508053, 1e-8);
  EXPECT_NEAR(torch.ratio->ratio, 1.6, 1e-12);
  EXPECT_EQ(torch.ratio->rounds, 3);
  EXPECT_NEAR(torch.ratio->interval->low, 1.6, 1e-9);  // the same in every round
  EXPECT_EQ(torch.remark, "");
  EXPECT_EQ(llama.implementation, "llama.cpp");
  EXPECT_NEAR(llama.ratio->ratio, 0.8, 1e-12);
  EXPECT_EQ(llama.remark, "its weights may have come from a cache, ours did not; computes in f32");
  EXPECT_NEAR(rows[1].peers[0].ratio->ratio, 2, 1e-12);
  // 1 and 1.44 times ours: sqrt(1.44) = 1.2, and ln 1.44 / 2 is both the mean and the standard error.
  const Ratio& two = *rows[1].peers[1].ratio;
  EXPECT_NEAR(two.ratio, 1.2, 1e-12);
  EXPECT_EQ(two.rounds, 2);
  const double half = std::log(1.44) / 2;
  EXPECT_NEAR(two.interval->low, std::exp(half - kT1 * half), 1e-6);
  EXPECT_NEAR(two.interval->high, std::exp(half + kT1 * half), 1e-5);
}

TEST(Peers, OnlySharedRoundsArePaired) {
  ResultFile file = fixture::peers_file();
  for (PeerRound& round : file.peers[1].rounds) round.index += 2;  // only its first round is our round 2
  const PeerTime one = layers_beside_peers(file)[1].peers[0];
  EXPECT_EQ(one.ratio->rounds, 1);
  EXPECT_NEAR(one.ratio->ratio, 0.05 / (0.025 * 0.98), 1e-12);
  EXPECT_FALSE(one.ratio->interval);
  for (PeerRound& round : file.peers[1].rounds) round.index += 2;
  const PeerTime none = layers_beside_peers(file)[1].peers[0];
  EXPECT_FALSE(none.ratio);
  EXPECT_NEAR(*none.time_s, 0.05, 1e-12);
}

TEST(Peers, NothingIsGuessed) {
  ResultFile file = fixture::peers_file();
  PartRecord& ours = file.points[1].parts[0];
  ours.outcome = Outcome::wrong;
  ours.rounds.clear();
  file.peers[0].rounds.clear();
  file.peers[0].note = "has no such kernel";
  const auto rows = layers_beside_peers(file);
  EXPECT_FALSE(rows[0].peers[0].time_s || rows[0].peers[0].ratio);
  EXPECT_EQ(rows[0].peers[0].remark, "has no such kernel");
  EXPECT_EQ(rows[1].outcome, Outcome::wrong);
  EXPECT_FALSE(rows[1].time_s || rows[1].possible_fraction || rows[1].peers[0].ratio);
  EXPECT_TRUE(rows[1].peers[0].time_s);
}

TEST(Peers, OtherThreadsAreSaid) {
  ResultFile file = fixture::peers_file();
  file.peers[0].threads = 4;
  EXPECT_EQ(remark_of(file.peers[0], file), "4 threads, ours 8");
}

TEST(Peers, VersionsOfOneProgramAreTwo) {
  ResultFile file = fixture::peers_file();
  EXPECT_EQ(peer_implementations(file)[0].name, "pytorch");
  EXPECT_EQ(peer_implementations(file)[0].details, (std::vector<std::string>{"transformers 5.23.0; sdpa"}));
  PeerRecord newer = file.peers[0];
  newer.version = "2.16.0";
  file.peers.push_back(newer);
  const auto names = peer_implementations(file);
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0].name, "pytorch 2.15.0");
  EXPECT_EQ(names[1].name, "llama.cpp");
  EXPECT_EQ(names[2].name, "pytorch 2.16.0");
  EXPECT_EQ(layers_beside_peers(file)[0].peers.size(), 3u);
  EXPECT_EQ(layers_beside_peers(file)[1].peers.size(), 2u);
}

TEST(PaidLayers, PerImplementation) {
  const auto rows = tradeoffs(fixture::peers_file());
  ASSERT_EQ(rows.size(), 3u);
  // Whole models as without peers.
  EXPECT_NEAR(rows[0].paid->ratio, 0.2625 / 0.1125, 1e-12);
  EXPECT_NEAR(*rows[0].possible, 3, 1e-12);
  // Layers alone. Batch 1: dense 50 ms possible, moe 5 + 10; batch 8: 50 and 5 + 20.
  EXPECT_NEAR(*rows[0].possible_layers, 10.0 / 3, 1e-12);
  EXPECT_NEAR(*rows[1].possible_layers, 2, 1e-12);
  ASSERT_EQ(rows[0].layers.size(), 3u);
  EXPECT_EQ(rows[0].layers[0].implementation, "layercost");
  EXPECT_EQ(rows[0].layers[1].implementation, "pytorch");
  EXPECT_EQ(rows[0].layers[2].implementation, "llama.cpp");
  EXPECT_NEAR(rows[0].layers[0].paid->ratio, 62.5 / 25, 1e-12);
  EXPECT_NEAR(rows[0].layers[1].paid->ratio, 100.0 / 50, 1e-12);
  EXPECT_EQ(rows[0].layers[1].paid->rounds, 3);
  EXPECT_EQ(rows[0].layers[1].verdict, Payoff::cheaper);
  // Rounds 0 and 1: 50 / 25 and 51 / 36.72 ms. Geometric mean of 2 and 2 / 1.44.
  const PaidBy& llama = rows[0].layers[2];
  EXPECT_EQ(llama.paid->rounds, 2);
  EXPECT_NEAR(llama.paid->ratio, 2 / 1.2, 1e-12);
  const double half = std::log(1.44) / 2;
  EXPECT_NEAR(llama.paid->interval->low, 2 / 1.2 * std::exp(-kT1 * half), 1e-6);
  EXPECT_NEAR(llama.paid->interval->high, 2 / 1.2 * std::exp(kT1 * half), 1e-4);
  EXPECT_EQ(llama.verdict, Payoff::cannot_tell);
  EXPECT_TRUE(llama.remarked);
  EXPECT_FALSE(rows[0].layers[1].remarked);
  EXPECT_NEAR(rows[1].layers[0].paid->ratio, 0.8, 1e-12);
  EXPECT_NEAR(rows[1].layers[1].paid->ratio, 0.6, 1e-12);
  EXPECT_EQ(rows[1].layers[1].verdict, Payoff::dearer);
  // Measured at neither point, and in prefill by none.
  EXPECT_FALSE(rows[1].layers[2].paid || rows[1].layers[2].verdict);
  EXPECT_EQ(rows[1].layers[2].why, "tiny-dense: dense: not measured by llama.cpp");
  EXPECT_FALSE(rows[2].layers[1].paid);
  EXPECT_NEAR(rows[2].layers[0].paid->ratio, 2, 1e-12);
}

TEST(PaidLayers, OneSideAloneIsAbsent) {
  ResultFile file = fixture::peers_file();
  file.peers.erase(file.peers.begin() + 1);  // pytorch has no moe at batch 1
  const auto rows = tradeoffs(file);
  EXPECT_FALSE(rows[0].layers[1].paid);
  EXPECT_EQ(rows[0].layers[1].why, "tiny-moe: moe: not measured by pytorch");
  EXPECT_TRUE(rows[1].layers[1].paid);
}

TEST(PaidLayers, EveryKindOfLayerIsNeeded) {
  ResultFile file = fixture::peers_file();
  for (const std::size_t p : {0u, 2u}) {  // the dense model has two kinds, 3 of 62.5 ms and 1 of 31.25 ms
    PartRecord windowed = file.points[p].parts[0];
    windowed.kind = "dense window=4096";
    windowed.count = 1;
    for (Round& round : windowed.rounds)
      for (Sample& sample : round.samples) sample.time_s /= 2;
    for (OpRecord& op : windowed.ops) op.bytes /= 2, op.flops /= 2;
    file.points[p].parts[0].count = 3;
    file.points[p].parts.push_back(windowed);
  }
  EXPECT_NEAR(tradeoffs(file)[0].layers[0].paid->ratio, (3 * 62.5 + 31.25) / (4 * 25), 1e-12);
  EXPECT_FALSE(tradeoffs(file)[0].layers[1].paid);
  PeerRecord windowed = file.peers[0];
  windowed.kind = "dense window=4096";
  for (PeerRound& round : windowed.rounds)
    for (double& sample_s : round.samples_s) sample_s /= 4;
  file.peers.push_back(windowed);
  EXPECT_NEAR(tradeoffs(file)[0].layers[1].paid->ratio, (3 * 100.0 + 25) / (4 * 50), 1e-12);
}

TEST(PaidLayers, WithoutAHeadTheLayersStay) {
  ResultFile file = fixture::peers_file();
  for (PointRecord& point : file.points) {
    PartRecord& head = point.parts[1];
    head = PartRecord{};
    head.kind = "head";
    head.count = 1;
    head.why = "not asked for";
  }
  const auto rows = tradeoffs(file);
  EXPECT_FALSE(rows[0].paid);
  EXPECT_EQ(rows[0].why, "tiny-dense: head: not asked for");
  EXPECT_NEAR(rows[0].layers[0].paid->ratio, 2.5, 1e-12);
  EXPECT_NEAR(rows[0].layers[1].paid->ratio, 2, 1e-12);
  EXPECT_NEAR(*rows[0].possible_layers, 10.0 / 3, 1e-12);
  const Summary summary = summarise(file);
  EXPECT_TRUE(summary.crossovers.empty());
  ASSERT_EQ(summary.layers_crossovers.size(), 1u);
  // ln 2.5 falls to ln 0.8 between batches 1 and 8.
  EXPECT_NEAR(*summary.layers_crossovers[0].batch, std::pow(8, std::log(2.5) / std::log(2.5 / 0.8)), 1e-9);
}

TEST(PaidLayers, OursIsWithheldWhereItsLayersDoNotAddUp) {
  ResultFile file = fixture::peers_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2, 4}, {1, 2, 6})};
  const auto rows = tradeoffs(file);
  EXPECT_FALSE(rows[0].layers[0].paid);
  EXPECT_NE(rows[0].layers[0].why.find("sum withheld"), std::string::npos);
}

TEST(PaidLayers, WithoutPeersThereIsNothing) {
  for (const TradeoffRow& row : tradeoffs(fixture::result_file())) {
    EXPECT_TRUE(row.layers.empty());
    EXPECT_FALSE(row.possible_layers);
  }
  const Summary summary = summarise(fixture::result_file());
  EXPECT_TRUE(summary.peers.empty() && summary.layers.empty() && summary.layers_crossovers.empty());
}

}  // namespace
}  // namespace layercost

// Files that belong together become one, those that do not are refused; numbers worked by hand from result_fixture.h.
// SPDX-License-Identifier: Apache-2.0
#include "harness/result/merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "harness/cost/tradeoff.h"
#include "harness/result/result_io.h"
#include "harness/result/sample_labels.h"
#include "harness/result/stats.h"
#include "kernels/core/error.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

// The fixture measured again while everything took `factor` times as long.
ResultFile again(double factor) {
  ResultFile file = fixture::peers_file();
  for (PointRecord& point : file.points)
    for (PartRecord& part : point.parts)
      for (Round& round : part.rounds)
        for (Sample& sample : round.samples) sample.time_s *= factor, sample.section_s *= factor;
  for (PeerRecord& peer : file.peers)
    for (PeerRound& round : peer.rounds)
      for (double& sample_s : round.samples_s) sample_s *= factor;
  return file;
}

ResultFile merged(const ResultFile& a, const ResultFile& b) { return merge_results({{"a.json", a}, {"b.json", b}}); }

std::string refusal(const ResultFile& a, const ResultFile& b) {
  try {
    merged(a, b);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

template <typename Rounds>
std::vector<std::int64_t> indices(const Rounds& rounds) {
  std::vector<std::int64_t> result;
  for (const auto& round : rounds) result.push_back(round.index);
  return result;
}
using Indices = std::vector<std::int64_t>;

TEST(Merge, RoundsFollowOneAnother) {
  const ResultFile file = merged(again(1), again(2));
  ASSERT_EQ(file.points.size(), 6u);
  const PartRecord& dense = file.points[0].parts[0];
  EXPECT_EQ(indices(dense.rounds), (Indices{0, 1, 2, 3, 4, 5}));
  EXPECT_DOUBLE_EQ(dense.rounds[1].samples[1].time_s, 0.0625 * 1.02);
  EXPECT_DOUBLE_EQ(dense.rounds[4].samples[1].time_s, 0.125 * 1.02);
  ASSERT_EQ(file.peers.size(), 6u);
  EXPECT_EQ(indices(file.peers[0].rounds), (Indices{0, 1, 2, 3, 4, 5}));
  EXPECT_DOUBLE_EQ(file.peers[0].rounds[3].samples_s[0], 0.25);
  // llama.cpp's moe has two rounds a file: they stay beside ours of the same turn.
  EXPECT_EQ(indices(file.peers[5].rounds), (Indices{0, 1, 3, 4}));
  EXPECT_EQ(file.schema_version, kSchemaVersion);
  EXPECT_TRUE(file.command.empty());
  // Twice as slow in both: the ratio is what it was.
  EXPECT_NEAR(tradeoffs(file)[0].layers[1].paid->ratio, 2, 1e-12);
  EXPECT_EQ(tradeoffs(file)[0].layers[1].paid->rounds, 6);
}

TEST(Merge, EachSampleKeepsTheRatesOfItsArithmetics) {
  const auto with_rate = [](double factor, double rate) {
    ResultFile file = again(factor);
    PartRecord& part = file.points[0].parts[0];
    part.ops[1].product_flops = {{"bf16 x q8_0", 1.8e9}};
    for (Round& round : part.rounds)
      for (Sample& sample : round.samples)
        sample.roofs_before.product_flops_per_s = sample.roofs_after.product_flops_per_s = {{"bf16 x q8_0", rate}};
    return file;
  };
  const PartRecord part = merged(with_rate(1, 300e9), with_rate(2, 200e9)).points[0].parts[0];
  EXPECT_EQ(part.ops[1].product_flops.at("bf16 x q8_0"), 1.8e9);
  EXPECT_EQ(part.rounds.at(2).samples[0].roofs_before.product_flops_per_s.at("bf16 x q8_0"), 300e9);
  EXPECT_EQ(part.rounds.at(3).samples[0].roofs_before.product_flops_per_s.at("bf16 x q8_0"), 200e9);
}

TEST(Merge, IndicesWithGapsAreClosed) {
  ResultFile a = again(1);
  for (PointRecord& point : a.points)
    for (PartRecord& part : point.parts)
      for (Round& round : part.rounds) round.index = 10 + 5 * round.index;
  for (PeerRecord& peer : a.peers)
    for (PeerRound& round : peer.rounds) round.index = 10 + 5 * round.index;
  const ResultFile file = merged(a, again(2));
  EXPECT_EQ(indices(file.points[1].parts[0].rounds), (Indices{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(indices(file.peers[5].rounds), (Indices{0, 1, 3, 4}));
}

// One run each of a dense and an MoE model, in turns: the k-th of one meets the k-th of the other.
TEST(Merge, RunsOfOneModelEachMeetByTurn) {
  const auto only = [](const std::string& name, double factor) {
    ResultFile file = again(factor);
    std::erase_if(file.models, [&](const ModelRecord& m) { return m.name != name; });
    std::erase_if(file.points, [&](const PointRecord& p) { return p.model != name; });
    std::erase_if(file.peers, [&](const PeerRecord& p) { return p.model != name; });
    file.pairs.clear();
    return file;
  };
  ResultFile file = merge_results({{"d0", only("tiny-dense", 1)},
                                   {"m0", only("tiny-moe", 1)},
                                   {"d1", only("tiny-dense", 3)},
                                   {"m1", only("tiny-moe", 3)}});
  EXPECT_EQ(file.models.size(), 2u);
  EXPECT_EQ(file.points.size(), 6u);
  EXPECT_TRUE(file.pairs.empty());
  add_pair(file, "tiny-dense:tiny-moe");
  add_pair(file, "tiny-dense:tiny-moe");
  ASSERT_EQ(file.pairs.size(), 1u);
  const auto rows = tradeoffs(file);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].paid->rounds, 6);
  EXPECT_NEAR(rows[0].paid->interval->low, 0.2625 / 0.1125, 1e-9);
  EXPECT_NEAR(rows[0].layers[1].paid->ratio, 2, 1e-12);
}

TEST(Merge, AMissingRoundDoesNotShiftTheOthers) {
  ResultFile a = again(1);
  a.peers.erase(a.peers.begin());         // pytorch broke on the dense model in the first file
  a.points[1].parts[0].rounds.resize(1);  // ours was stopped
  const ResultFile file = merged(a, again(2));
  EXPECT_EQ(indices(file.points[1].parts[0].rounds), (Indices{0, 3, 4, 5}));
  const auto torch = std::find_if(file.peers.begin(), file.peers.end(), [](const PeerRecord& p) {
    return p.implementation == "pytorch" && p.model == "tiny-dense" && p.batch == 1;
  });
  EXPECT_EQ(indices(torch->rounds), (Indices{3, 4, 5}));
}

TEST(Merge, VerdictTakesTheWorstAndSumsChecks) {
  ResultFile a = again(1), b = again(2);
  b.points[0].parts[0].verdict->rel_l2 = 2e-3;
  a.points[0].parts[0].verdict->gain = 3e-5;
  b.points[0].parts[0].verdict->worst_row = 5e-3;
  b.points[0].parts[0].verdict->rows_checked = 4;
  b.points[0].parts[0].verdict->checks = 7;
  const Verdict verdict = *merged(a, b).points[0].parts[0].verdict;
  EXPECT_TRUE(verdict.ok);
  EXPECT_EQ(verdict.rel_l2, 2e-3);
  EXPECT_EQ(verdict.worst_row, 5e-3);
  EXPECT_EQ(verdict.gain, 3e-5);
  EXPECT_EQ(verdict.rows_checked, 4);
  EXPECT_EQ(verdict.checks, 9);
}

// Limits follow from what was compared: 3e-5 of 5e-4 is nearer than 4e-5 of 1e-3.
TEST(Merge, TheGainKeepsItsLimit) {
  ResultFile a = again(1), b = again(2);
  a.points[0].parts[0].verdict->gain = 4e-5;
  a.points[0].parts[0].verdict->gain_limit = 1e-3;
  b.points[0].parts[0].verdict->gain = 3e-5;
  for (const ResultFile& file : {merged(a, b), merged(b, a)}) {
    EXPECT_EQ(file.points[0].parts[0].verdict->gain, 3e-5);
    EXPECT_EQ(file.points[0].parts[0].verdict->gain_limit, 5e-4);
  }
}

// Stacks of 3 and of 6 layers: the time of a layer is section / (passes x layers) in each round.
TEST(Merge, RoundsOfAnotherStackSayItsHeight) {
  ResultFile a = again(1), b = again(2);
  b.points[0].parts[0].stack = StackRecord{6, 6e9, 32e6, 6e9, 0.75};
  for (Round& round : b.points[0].parts[0].rounds)
    for (Sample& sample : round.samples) sample.section_s *= 2;
  const auto heights = [](const ResultFile& file) {
    const PartRecord& part = file.points[0].parts[0];
    EXPECT_EQ(part.stack->layers, 3);
    std::vector<std::int64_t> layers;
    for (const Round& round : part.rounds) layers.push_back(round.layers.value_or(0));
    return layers;
  };
  EXPECT_EQ(heights(merged(a, b)), (Indices{0, 0, 0, 6, 6, 6}));
  EXPECT_EQ(heights(merged(b, a)), (Indices{6, 6, 6, 0, 0, 0}));
  EXPECT_EQ(heights(merge_results({{"ab", merged(a, b)}, {"c", again(3)}})), (Indices{0, 0, 0, 6, 6, 6, 0, 0, 0}));
}

TEST(Merge, RoutingIsAddedUp) {
  ResultFile a = again(1), b = again(2);
  RoutingRecord& routing = *b.points[1].parts[0].routing;
  routing.draws = 10;
  routing.histogram = {5, 6, 4, 5};
  routing.distinct_experts = 4;
  routing.imbalance = 1.05;
  routing.hash = "ffffffffffffff02";
  const RoutingRecord both = *merged(a, b).points[1].parts[0].routing;
  EXPECT_EQ(both.draws, 40);
  EXPECT_EQ(both.histogram, (std::vector<std::int64_t>{20, 20, 20, 20}));
  EXPECT_NEAR(both.distinct_experts, 2.5, 1e-12);  // (30 x 2 + 10 x 4) / 40
  EXPECT_NEAR(both.imbalance, 1.2, 1e-12);         // (30 x 1.25 + 10 x 1.05) / 40
  EXPECT_EQ(both.hash, "0000000000000001");        // 0xff + 0xffffffffffffff02, modulo 2^64
  EXPECT_EQ(both.seed, 18446744073709551615u);
}

TEST(Merge, LabelsFollowFromAllRounds) {
  ResultFile a = again(1), b = again(2);
  a.points[0].parts[0].labels = {Label::preliminary, Label::shared, Label::drifting};
  a.points[0].parts[0].rounds[0].neighbour_cpus.reset();  // as in files before 1.2; else its rounds say SHARED or not
  b.points[0].parts[0].labels = {Label::cache_partial};
  // Samples of a round go 1.02, 1, 0.98, 1.01, 0.99: halves 1.01 and 1.00, not drifting. 6 rounds: preliminary.
  const auto labels = merged(a, b).points[0].parts[0].labels;
  EXPECT_EQ(labels, (std::vector<Label>{Label::preliminary, Label::shared, Label::cache_partial}));
}

TEST(Merge, TenRoundsOfThirtySamplesAreAHeadline) {
  const auto long_run = [](double factor) {
    ResultFile file = again(factor);
    file.peers.clear();
    for (PointRecord& point : file.points) {
      for (PartRecord& part : point.parts) {
        const Round pattern = part.rounds[0];
        part.rounds.assign(5, pattern);
        for (std::size_t r = 0; r < 5; ++r) {
          part.rounds[r].index = static_cast<std::int64_t>(r);
          part.rounds[r].samples.assign(30, pattern.samples[1]);
        }
      }
    }
    return file;
  };
  ResultFile half = long_run(1);
  label_from_samples(half);
  EXPECT_EQ(half.points[0].parts[0].labels, std::vector<Label>{Label::preliminary});
  const ResultFile file = merged(long_run(1), long_run(2));
  EXPECT_TRUE(file.points[0].parts[0].labels.empty());
  ResultFile short_round = long_run(2);
  short_round.points[0].parts[0].rounds[3].samples.pop_back();
  EXPECT_EQ(merged(long_run(1), short_round).points[0].parts[0].labels, std::vector<Label>{Label::preliminary});
  ResultFile moved = long_run(2);
  moved.points[0].parts[0].rounds[3].samples[7].roofs_after.read_bytes_per_s *= 1.2;
  EXPECT_EQ(merged(long_run(1), moved).points[0].parts[0].labels, std::vector<Label>{Label::roof_moved});
}

TEST(Merge, WhatIsWrongOrFailedStaysSo) {
  for (const Outcome outcome : {Outcome::wrong, Outcome::failed}) {
    ResultFile bad = again(2);
    PartRecord& part = bad.points[0].parts[0];
    part.outcome = outcome;
    part.why = "row 3 is off";
    part.rounds.clear();
    part.verdict->ok = false;
    for (const bool first : {true, false}) {
      const PartRecord result = (first ? merged(bad, again(1)) : merged(again(1), bad)).points[0].parts[0];
      EXPECT_EQ(result.outcome, outcome);
      EXPECT_EQ(result.why, "row 3 is off");
      EXPECT_FALSE(result.verdict->ok);
      EXPECT_EQ(result.rounds.size(), outcome == Outcome::wrong ? 0u : 3u);
    }
  }
}

TEST(Merge, MeasuredOnceIsMeasured) {
  ResultFile less = again(2);
  PartRecord& head = less.points[0].parts[1];
  head = PartRecord{};
  head.kind = "head";
  head.count = 1;
  head.why = "not asked for";
  ResultFile file = merged(less, again(1));
  EXPECT_EQ(file.points[0].parts[1].outcome, Outcome::measured);
  EXPECT_EQ(file.points[0].parts[1].why, "");
  EXPECT_EQ(indices(file.points[0].parts[1].rounds), (Indices{3, 4, 5}));
  EXPECT_TRUE(file.warnings.empty());
  less.points[0].parts[1].outcome = Outcome::out_of_memory;
  file = merged(less, again(1));
  EXPECT_EQ(file.points[0].parts[1].outcome, Outcome::measured);
  ASSERT_EQ(file.warnings.size(), 1u);
  EXPECT_EQ(file.warnings[0].code, "merged_outcome");
  EXPECT_NE(file.warnings[0].text.find("out of memory in a.json, measured in b.json"), std::string::npos);
}

TEST(Merge, AnotherChoiceIsSaid) {
  ResultFile b = again(2);
  b.points[1].parts[0].ops[1].variant = "plain_loops";
  const ResultFile file = merged(again(1), b);
  ASSERT_EQ(file.warnings.size(), 1u);
  EXPECT_EQ(file.warnings[0].code, "merged_choice");
  EXPECT_EQ(
      file.warnings[0].text,
      "tiny-moe decode batch 1 context 4096 bf16 uniform routing on cpu, moe, experts: computed in different ways: "
      "onednn_best in a.json; plain_loops in b.json");
}

TEST(Merge, TheRestIsUnited) {
  ResultFile a = again(1), b = again(2);
  a.started_at = "2026-01-02T05:00:00Z";
  a.finished_at = "2026-01-02T05:10:00Z";
  a.warnings = {{"w", "one"}};
  b.warnings = {{"w", "one"}, {"w", "two"}};
  b.complete = false;
  a.policy = b.policy = PolicyRecord{3, 0.6, 3, 30, 5e-4, 1};
  b.suite = "quick";
  b.environment.load_average = 3;
  b.price.reset();
  b.peers[0].note = "busy";
  b.peers[0].cold = false;
  b.peers[0].detail = "transformers 5.23.0; eager";
  b.peers[0].layers = 2;
  a.points[0].parts[0].ops[0].time_s = 0.004;
  b.points[0].parts[0].ops[0].time_s = 0.003;
  const ResultFile file = merged(a, b);
  EXPECT_EQ(file.started_at, "2026-01-02T03:04:05Z");
  EXPECT_EQ(file.finished_at, "2026-01-02T05:10:00Z");
  EXPECT_FALSE(file.complete);
  EXPECT_FALSE(file.policy);
  EXPECT_EQ(file.suite, "");
  EXPECT_EQ(file.warnings.size(), 2u);
  EXPECT_EQ(file.environment.load_average, 0.25);
  EXPECT_EQ(file.price->usd_per_hour, 0.72);
  EXPECT_EQ(merged(b, a).price->usd_per_hour, 0.72);
  EXPECT_EQ(file.peers[0].note, "busy");
  EXPECT_FALSE(file.peers[0].cold);
  EXPECT_EQ(file.peers[0].detail, "transformers 5.23.0; sdpa; transformers 5.23.0; eager");
  EXPECT_EQ(file.peers[0].layers, 2);
  EXPECT_EQ(*file.points[0].parts[0].ops[0].time_s, 0.003);
  EXPECT_EQ(file.pairs.size(), 1u);
  EXPECT_EQ(merged(again(1), again(2)).suite, "tradeoff");
}

TEST(Merge, InStepsGivesTheSame) {
  const ResultFile a = again(1), b = again(2), c = again(3);
  const ResultFile at_once = merge_results({{"a", a}, {"b", b}, {"c", c}});
  EXPECT_EQ(result_to_text(merged(merged(a, b), c), nullptr), result_to_text(at_once, nullptr));
}

TEST(Merge, RefusesWhatDoesNotBelongTogether) {
  const std::pair<std::vector<const char*>, std::function<void(ResultFile&)>> cases[] = {
      {{"b.json: environment.device_name", "'Other CPU'", "'Example CPU 9000' in a.json"},
       [](ResultFile& f) { f.environment.device_name = "Other CPU"; }},
      {{"environment.threads", "is '4', but '8' in a.json"}, [](ResultFile& f) { f.environment.threads = 4; }},
      {{"environment.features", "'avx2'", "'avx2, avx512_bf16'"},
       [](ResultFile& f) { f.environment.features.pop_back(); }},
      {{"environment.libraries", "'oneDNN 3.1'", "'oneDNN 2.6.3'"},
       [](ResultFile& f) { f.environment.libraries["oneDNN"] = "3.1"; }},
      {{"program_version", "'0.2.0'", "'0.1.0'"}, [](ResultFile& f) { f.program_version = "0.2.0"; }},
      {{"commit", "'fedc'", "'0123456789abcdef'"}, [](ResultFile& f) { f.commit = "fedc"; }},
      {{"commit_dirty", "'true'", "'false'"}, [](ResultFile& f) { f.commit_dirty = true; }},
      {{"environment.memory_bytes"}, [](ResultFile& f) { f.environment.memory_bytes = 67e9; }},
      {{"environment.kernel", "'5.15'", "'6.1.0'"}, [](ResultFile& f) { f.environment.kernel = "5.15"; }},
      {{"models[0].digest", "'y'", "'x'"}, [](ResultFile& f) { f.models[0].digest = "y"; }},
      {{"points[0].memory.kv_bytes"}, [](ResultFile& f) { f.points[0].memory.kv_bytes = 1; }},
      {{"price.usd_per_h", "'0.8'", "'0.72'"}, [](ResultFile& f) { f.price->usd_per_hour = 0.8; }},
      {{"price.id", "'other'"}, [](ResultFile& f) { f.price->id = "other"; }},
      {{"models[1].parameters_active", "'2'", "'1000000000'"},
       [](ResultFile& f) { f.models[1].parameters_active = 2; }},
      {{"models[1].experts", "'none'", "'4'"}, [](ResultFile& f) { f.models[1].experts.reset(); }},
      {{"points[0].parts[0].count", "'5'", "'4'"}, [](ResultFile& f) { f.points[0].parts[0].count = 5; }},
      {{"points[0].parts[0].ops[1].bytes"}, [](ResultFile& f) { f.points[0].parts[0].ops[1].bytes = 1; }},
      {{"points[0].parts[0].ops[1].product_flops", "f32", "{}"},
       [](ResultFile& f) { f.points[0].parts[0].ops[1].product_flops["f32"] = 1; }},
      {{"points[0].parts[0].ops", "'1'", "'2'"}, [](ResultFile& f) { f.points[0].parts[0].ops.pop_back(); }},
      {{"points[1].parts[0].routing.seed", "'7'"}, [](ResultFile& f) { f.points[1].parts[0].routing->seed = 7; }},
      {{"points[1].parts[0].routing.hash", "hexadecimal", "'xyz'"},
       [](ResultFile& f) { f.points[1].parts[0].routing->hash = "xyz"; }},
      {{"points[1].parts[0].routing.draws", "beyond 2^53"},
       [](ResultFile& f) { f.points[1].parts[0].routing->draws = std::int64_t{1} << 53; }},
      {{"peers[0].threads", "'4'", "'8'"}, [](ResultFile& f) { f.peers[0].threads = 4; }},
      {{"points[0].parts[0].rounds[0]", "to the last bit"},
       [](ResultFile& f) { f.points[0].parts[0].rounds[0] = again(1).points[0].parts[0].rounds[2]; }},
      {{"peers[0].rounds[1]", "to the last bit"},
       [](ResultFile& f) {
         f.peers[0].rounds[1] = again(1).peers[0].rounds[0];
         f.peers[0].rounds[1].index = 1;
       }},
  };
  EXPECT_EQ(refusal(again(1), again(2)), "");
  for (const auto& [words, spoil] : cases) {
    ResultFile b = again(2);
    spoil(b);
    ResultFile a = again(1);
    a.models[0].digest = "x";
    const std::string message = refusal(a, b);
    for (const char* word : words) EXPECT_NE(message.find(word), std::string::npos) << word << ": " << message;
  }
}

// Each peer stays with the routing it was measured beside, also when the file is read again.
TEST(Merge, PeersOfTwoRoutingsStayApart) {
  ResultFile b = again(2);
  for (PointRecord& p : b.points)
    if (!p.routing.empty()) p.routing = "zipf:1", fixture::draw(p);
  for (PeerRecord& p : b.peers)
    if (!p.routing.empty()) p.routing = "zipf:1";
  const ResultFile file = merged(again(1), b);
  const ResultFile back = result_from_text("r.json", result_to_text(file, nullptr));
  for (const ResultFile& f : {file, back}) {
    ASSERT_EQ(f.points.size(), 6u + 3u);  // the dense model's points have rounds of both
    ASSERT_EQ(f.peers.size(), 6u + 3u);
    std::vector<double> pytorch_batch_1;  // first sample of the mixture of experts' peer: 0.05 x 1.25 s, and twice that
    for (const PeerRecord& p : f.peers)
      if (p.model == "tiny-moe" && p.batch == 1 && p.implementation == "pytorch") {
        EXPECT_EQ(p.rounds.size(), 3u);
        EXPECT_EQ(p.routing, pytorch_batch_1.empty() ? "uniform" : "zipf:1");
        pytorch_batch_1.push_back(p.rounds[0].samples_s[0]);
      }
    EXPECT_EQ(pytorch_batch_1, (std::vector<double>{0.0625, 0.125}));
  }
}

TEST(Merge, PairsAreModelsOfTheFile) {
  const std::pair<const char*, const char*> cases[] = {
      {"tiny-dense", "expected DENSE:MOE"},
      {"tiny-dens:tiny-moe", "did you mean 'tiny-dense'?"},
      {"tiny-dense:tiny-mo", "did you mean 'tiny-moe'?"},
      {"tiny-dense:other", "they have tiny-dense, tiny-moe"},
      {"tiny-moe:tiny-dense", "tiny-moe has experts and tiny-dense has none"},
      {":", "'' is not a model"},
  };
  for (const auto& [pair, expected] : cases) {
    ResultFile file = fixture::result_file();
    try {
      add_pair(file, pair);
      ADD_FAILURE() << pair;
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
      EXPECT_TRUE(std::string(error.what()).starts_with("--pair: ")) << error.what();
    }
  }
}

}  // namespace
}  // namespace layercost

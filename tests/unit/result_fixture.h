// What:    a result file with round numbers, for the tests of result/, cost/ and report/: a dense model and a
//          mixture-of-experts model on one machine, 3 rounds of 5 samples, decode at batches 1 and 8, prefill at batch
//          1. The times are chosen so that the expected values in the tests can be worked by hand:
//            every probe says 20 GB/s and 500 GFLOP/s
//            round r of a part takes time * (1, 1.02, 0.98)[r]; inside a round samples are 1 and 1 -/+ 1 and 2 %
//            so the headline of a part is `time`, and a sample's probes are the same for all
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost::fixture {

inline const Roofs kRoofs{20e9, 500e9};
inline constexpr std::array kRoundFactor = {1.0, 1.02, 0.98};
inline constexpr std::array kSampleFactor = {1.02, 1.0, 0.98, 1.01, 0.99};

inline GpuRecord gpu() {
  GpuRecord g;
  g.driver = "580.65.06";
  g.cuda_driver = g.cuda_runtime = "13.0";
  g.uuid = "GPU-01020304-0506-0708-090a-0b0c0d0e0f10";
  g.pci = "00000000:01:00.0";
  g.host_cpu = "Example CPU 9000";
  g.compute_capability = "9.0";
  g.multiprocessors = 132;
  g.error_correction = true;
  g.persistence = g.mig = false;
  g.power_limit_w = 700;
  g.sm_clock_limit_hz = 1.98e9;
  return g;
}

inline ConditionsRecord conditions() {
  ConditionsRecord c;
  c.window_s = 0.6;
  c.readings = 30;
  c.sm_clock_min_hz = 1.4e9;
  c.sm_clock_median_hz = 1.6e9;
  c.sm_clock_max_hz = 1.98e9;
  c.memory_clock_min_hz = c.memory_clock_median_hz = c.memory_clock_max_hz = 2.6e9;
  c.power_limit_w = 700;
  c.power_min_w = 300;
  c.power_median_w = 600;
  c.power_max_w = 699;
  c.temperature_start_c = 45;
  c.temperature_end_c = 52;
  c.clock_reasons_known = true;
  c.clock_reasons = {"power cap"};
  c.power_held_back = 0.25;
  c.thermal_held_back = 0;
  c.energy_j = 350;
  c.other_processes = 0;
  return c;
}

inline std::vector<Round> rounds(double time_s, std::optional<double> distinct = {}) {
  std::vector<Round> result;
  for (std::size_t r = 0; r < kRoundFactor.size(); ++r) {
    Round round;
    round.neighbour_cpus = 0.0625;
    round.index = static_cast<std::int64_t>(r);
    for (const double factor : kSampleFactor) {
      Sample sample;
      sample.time_s = time_s * kRoundFactor[r] * factor;
      sample.passes = 2;
      sample.section_s = sample.time_s * 2 * 3;  // 2 passes over a stack of 3 layers
      sample.roofs_before = sample.roofs_after = kRoofs;
      sample.distinct_experts = distinct;
      round.samples.push_back(sample);
    }
    result.push_back(round);
  }
  return result;
}

inline OpRecord op(std::string component, double flops, double bytes, double bytes_per_expert = 0) {
  OpRecord record;
  record.component = component;
  record.case_text = component + "_stub m=1";  // an op of no formula: its figures are made up
  std::replace(record.case_text.begin(), record.case_text.end() - 4, ' ', '_');
  record.variant = "onednn_best";
  record.provider = "oneDNN 2.6.3";
  record.chosen_by = "measured";
  record.tried = {{"plain_loops", 0.5}, {"onednn_packed", 0.25}};
  record.flops = flops;
  record.bytes = bytes;
  record.bytes_per_distinct_expert = bytes_per_expert;
  return record;
}

inline PartRecord part(std::string kind, std::int64_t count, double time_s, std::vector<OpRecord> ops,
                       std::optional<double> distinct = {}) {
  PartRecord record;
  record.kind = kind;
  record.count = count;
  record.outcome = Outcome::measured;
  record.verdict = Verdict{true, "", 1.5e-3, 4e-3, 2e-5, 1e-2, 3e-2, 5e-4, 8, 8, {}, 2};
  record.stack = StackRecord{3, 3e9, 32e6, 3e9, 0.75};
  if (distinct) {
    record.routing =
        RoutingRecord{"uniform", 18446744073709551615u, 4, 2, 30, {15, 14, 16, 15}, *distinct, 1.25, "00ff"};
  }
  record.ops = std::move(ops);
  record.rounds = rounds(time_s, distinct);
  record.labels = {Label::preliminary};
  return record;
}

// What its parts drew, by the routing and for the tokens that the point has now.
inline void draw(PointRecord& point) {
  for (PartRecord& part : point.parts) {
    if (!part.routing) continue;
    part.routing->name = point.routing;
    part.routing->histogram = {15, 14, 16, 15};  // of 30 draws of one token
    for (std::int64_t& tokens : part.routing->histogram) tokens *= point.tokens;
  }
}

inline PointRecord point(std::string model, std::string phase, std::int64_t batch, std::vector<PartRecord> parts) {
  PointRecord record;
  record.model = model;
  record.phase = phase;
  record.batch = batch;
  record.context = phase == "decode" ? 4096 : 512;
  record.new_tokens = phase == "decode" ? 1 : record.context;
  record.tokens = batch * record.new_tokens;
  record.weight_type = record.activation_type = record.kv_type = "bf16";
  record.device = "cpu";
  record.routing = model == "tiny-moe" ? "uniform" : "";
  record.memory = MemoryRecord{4e9, 1e9, 0.5e9, 16e9, 12};
  if (model == "tiny-moe") record.memory = MemoryRecord{20e9, 1e9, 0.5e9, 16e9, {}, 2e9};
  record.parts = std::move(parts);
  draw(record);
  return record;
}

// Per layer at batch 1, dense: attention 0.1 GB, mlp 0.9 GB -> 1 GB / 20 GB/s = 50 ms possible.
//              moe: attention 0.1 GB, experts 0.1 GB for each of 2 distinct ones -> 0.3 GB -> 15 ms possible.
//              head: 0.2 GB -> 10 ms possible.
inline ResultFile result_file() {
  ResultFile file;
  file.program_version = "0.1.0";
  file.commit = "0123456789abcdef";
  file.command = {"layercost", "run", "--suite", "tradeoff"};
  file.started_at = "2026-01-02T03:04:05Z";
  file.finished_at = "2026-01-02T03:14:05Z";
  file.complete = true;
  file.suite = "tradeoff";
  file.environment.device_id = "cpu";
  file.environment.device_name = "Example CPU 9000";
  file.environment.target = "cpu";
  file.environment.threads = 8;
  file.environment.memory_bytes = 16e9;
  file.environment.available_bytes = 15e9;
  file.environment.last_level_cache_bytes = 32e6;
  file.environment.last_level_caches = 2;
  file.environment.last_level_cache_source = "sysfs";
  file.environment.features = {"avx2", "avx512_bf16"};
  file.environment.kernel = "6.1.0";
  file.environment.operating_system = "Debian GNU/Linux 12";
  file.environment.compiler = "GCC 12.2.0";
  file.environment.build_type = "Release";
  file.environment.huge_pages = "madvise";
  file.environment.governor = "performance";
  file.environment.threads_pinned = true;
  file.environment.topology = TopologyRecord{6, 1, 1, 4, {{2, 4, 1024, 5.2e9}, {2, 2, 600, std::nullopt}}, {0, 2}};
  file.environment.load_average = 0.25;
  file.environment.libraries = {{"oneDNN", "2.6.3"}};
  file.price = PriceRecord{"example-owned-workstation",
                           "an example, not your machine",
                           0.72,
                           "made up for a test",
                           "2026-01-01",
                           "owned",
                           false};
  file.models = {
      {"tiny-dense", "Example/Tiny-Dense", "llama", 4'000'000'000, 4'000'000'000, 4, 1024, 32000, {}, {}},
      {"tiny-moe", "Example/Tiny-MoE", "mixtral", 10'000'000'000, 1'000'000'000, 4, 1024, 32000, 4, 2, 1'032'768'000}};
  file.pairs = {{"tiny-dense", "tiny-moe"}};
  const auto dense = [](double time_s, double scale) {
    return part("dense", 4, time_s, {op("attention", 0.2e9 * scale, 0.1e9), op("mlp", 1.8e9 * scale, 0.9e9)});
  };
  const auto moe = [](double time_s, double scale, double distinct) {
    return part("moe", 4, time_s, {op("attention", 0.2e9 * scale, 0.1e9), op("experts", 0.4e9 * scale, 0, 0.1e9)},
                distinct);
  };
  const auto head = [](double time_s, double scale) {
    return part("head", 1, time_s, {op("lm head", 0.4e9 * scale, 0.2e9)});
  };
  file.points = {
      point("tiny-dense", "decode", 1, {dense(0.0625, 1), head(0.0125, 1)}),
      point("tiny-moe", "decode", 1, {moe(0.025, 1, 2), head(0.0125, 1)}),
      point("tiny-dense", "decode", 8, {dense(0.064, 8), head(0.016, 8)}),
      point("tiny-moe", "decode", 8, {moe(0.08, 8, 4), head(0.016, 8)}),
      point("tiny-dense", "prefill", 1, {dense(2.5, 512), head(0.5, 512)}),
      point("tiny-moe", "prefill", 1, {moe(1.25, 512, 4), head(0.5, 512)}),
  };
  return file;
}

// Stacks of the point's layers.
inline DepthRecord depths(const ScenarioRecord& of, std::string kind, std::vector<std::int64_t> depths,
                          std::vector<double> time_s) {
  return {of, std::move(kind), std::move(depths), std::move(time_s)};
}

// Rounds 0, 1, ... of a peer, two samples each; the median of a round is its time.
inline PeerRecord peer(std::string implementation, std::string model, std::int64_t batch,
                       std::vector<double> round_times_s) {
  PeerRecord record;
  record.implementation = implementation;
  record.version = implementation == "pytorch" ? "2.15.0" : "b7110";
  record.detail = implementation == "pytorch" ? "transformers 5.23.0; sdpa" : "";
  static_cast<ScenarioRecord&>(record) = point(model, "decode", batch, {});
  record.kind = model == "tiny-moe" ? "moe" : "dense";
  record.threads = 8;
  record.layers = 3;
  record.cold = true;
  for (const double time_s : round_times_s) {
    record.rounds.push_back({static_cast<std::int64_t>(record.rounds.size()), {time_s * 1.25, time_s * 0.75}});
  }
  return record;
}

// result_file() with two other programs beside it. Decode at batch 1 and 8 (ours: dense 62.5 and 64 ms, moe 25 and 80):
//   pytorch    dense 1.6 and 1.5 times ours, moe twice ours, in every round
//   llama.cpp  batch 1 only: dense 0.8 times ours in every round, but not cold; moe 1 and 1.44 times ours in two rounds
inline ResultFile peers_file() {
  ResultFile file = result_file();
  file.peers = {peer("pytorch", "tiny-dense", 1, {0.1, 0.102, 0.098}),
                peer("pytorch", "tiny-moe", 1, {0.05, 0.051, 0.049}),
                peer("pytorch", "tiny-dense", 8, {0.096, 0.09792, 0.09408}),
                peer("pytorch", "tiny-moe", 8, {0.16, 0.1632, 0.1568}),
                peer("llama.cpp", "tiny-dense", 1, {0.05, 0.051, 0.049}),
                peer("llama.cpp", "tiny-moe", 1, {0.025, 0.03672})};
  file.peers[4].cold = false;
  file.peers[4].note = "computes in f32";
  return file;
}

}  // namespace layercost::fixture

// Whole layers on the executor: every golden, and a whole run with a clock that is planted, not read.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "harness/measure/layer_check.h"
#include "harness/measure/roofs.h"
#include "harness/measure/run.h"
#include "harness/result/roofline.h"
#include "tests/print.h"
#include "tests/simt/simulated_device.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

struct Golden {
  std::string folder;
  std::int64_t layer;
};
void PrintTo(const Golden& g, std::ostream* to) { *to << g.folder << " layer " << g.layer; }

const fs::path kGolden = fs::path(LAYERCOST_SOURCE_DIR) / "tests" / "golden";

std::vector<Golden> goldens() {
  std::vector<Golden> out;
  std::ifstream in(kGolden / "manifest.json");
  const auto manifest = nlohmann::json::parse(in);
  for (const auto& c : manifest.at("cases")) out.push_back({c.at("case"), c.at("layer")});
  return out;
}

class SimtGolden : public testing::TestWithParam<std::tuple<Golden, DType>> {};

TEST_P(SimtGolden, AgreesWithTransformers) {
  const auto& [golden, type] = GetParam();
  const ModelSpec model = read_model(kGolden / golden.folder);
  Checkpoint reader({kGolden / golden.folder / "model.safetensors"});
  const LayerIo io =
      read_layer_io(kGolden / golden.folder / fmt::format("io_layer{}.safetensors", golden.layer), model.hidden);
  Runtime runtime(find_device("cuda:0"));
  for (const LayerCheckRow& r : check_against_io(model, golden.layer, reader, io, type, runtime))
    EXPECT_TRUE(r.verdict.ok) << r.mode << ": " << r.verdict.why << " (rel " << r.verdict.rel_l2 << ")";
}

INSTANTIATE_TEST_SUITE_P(All, SimtGolden,
                         testing::Combine(testing::ValuesIn(goldens()), testing::Values(DType::f32, DType::bf16)),
                         [](const auto& p) {
                           return fmt::format("{}_layer{}_{}", std::get<0>(p.param).folder, std::get<0>(p.param).layer,
                                              to_string(std::get<1>(p.param)));
                         });

class SimtRun : public testing::Test {
 protected:
  void SetUp() override {
    simulated_device() = {};
    simulated_device().cache_bytes = 64 << 10;  // short stacks
    simulated_device().memory_bytes = 64 << 20;
    simulated_device().clock = [] { return SectionTime{1e-3, 1.01e-3}; };
    plan_.models = {read_model(fs::path(LAYERCOST_SOURCE_DIR) / "tests/simt/tiny_moe.json")};
    Scenario decode, prefill;
    decode.batch = 3;
    decode.context = 20;
    decode.routing.kind = RoutingSpec::Kind::uniform;
    prefill.phase = Phase::prefill;
    prefill.context = 20;
    plan_.points = {{0, decode}, {0, prefill}};
    plan_.policy.rounds = 1;
    plan_.policy.cell_s = 0.01;
    plan_.policy.gpu_probe_side = 64;
  }
  void TearDown() override { simulated_device() = {}; }

  ResultFile run() {
    Runtime runtime(find_device("cuda:0"));
    ResultFile result;
    plan_result(plan_, runtime.device(), result);
    measure_all(plan_, runtime, result, {});
    return result;
  }
  static bool has(const PartRecord& part, Label label) {
    return std::find(part.labels.begin(), part.labels.end(), label) != part.labels.end();
  }

  RunPlan plan_;
};

TEST_F(SimtRun, EveryPointIsMeasuredAndChecked) {
  const ResultFile result = run();
  ASSERT_EQ(result.points.size(), 2u);
  for (const PointRecord& point : result.points)
    for (const PartRecord& part : point.parts) {
      SCOPED_TRACE(point.phase + " " + part.kind);
      ASSERT_EQ(part.outcome, Outcome::measured) << part.why;
      EXPECT_TRUE(part.verdict && part.verdict->ok);
      ASSERT_EQ(part.rounds.size(), 1u);
      EXPECT_FALSE(part.rounds[0].conditions) << "there is no NVML here";
      for (const Sample& s : part.rounds[0].samples) {
        EXPECT_DOUBLE_EQ(s.section_s, 1e-3);
        EXPECT_DOUBLE_EQ(s.time_s, 1e-3 / static_cast<double>(s.passes * part.stack->layers));
        EXPECT_DOUBLE_EQ(s.host_section_s.value(), 1.01e-3);
      }
      EXPECT_FALSE(has(part, Label::queue_gap));
      for (const OpRecord& op : part.ops) EXPECT_TRUE(op.variant.starts_with("cuda_")) << op.case_text;
      if (part.kind == "moe") {
        EXPECT_GT(part.routing->draws, 0);
        EXPECT_GE(part.stack->layers, 2);
      }
    }
}

// The executor's memory is full of impossible expert ids until they are set: a pass before that reads out of bounds.
TEST_F(SimtRun, DepthsAreMeasuredAndChecked) {
  plan_.depths = {1, 2};
  const ResultFile result = run();
  for (const Warning& w : result.warnings)  // the simulated clock contradicts the probes of this machine
    EXPECT_EQ(w.code, "probed_again") << w.text;
  ASSERT_EQ(result.depths.size(), 2u);
  for (const DepthRecord& d : result.depths) {
    EXPECT_EQ(d.kind, "moe");
    EXPECT_EQ(d.depths, (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(d.time_s, (std::vector<double>{1e-3, 1e-3}));
  }
}

TEST_F(SimtRun, AHostThatTakesLongerIsLabelled) {
  simulated_device().clock = [] { return SectionTime{1e-3, 1.2e-3}; };
  for (const PointRecord& point : run().points)
    for (const PartRecord& part : point.parts) EXPECT_TRUE(has(part, Label::queue_gap)) << part.kind;
}

TEST_F(SimtRun, ADeviceThatIsLostEndsTheRunAndKeepsWhatWasMeasured) {
  run();
  simulated_device().lost_after = simulated_device().launches / 2;
  simulated_device().launches = 0;
  const ResultFile result = run();
  int measured = 0, failed = 0, skipped = 0;
  for (const PointRecord& point : result.points)
    for (const PartRecord& part : point.parts) {
      measured += part.outcome == Outcome::measured;
      if (part.outcome == Outcome::failed) {
        ++failed;
        EXPECT_NE(part.why.find("device was lost"), std::string::npos) << part.why;
      }
      if (part.outcome == Outcome::skipped) {
        ++skipped;
        EXPECT_NE(part.why.find("device was lost"), std::string::npos) << part.why;
      }
    }
  EXPECT_GE(measured, 1);
  EXPECT_EQ(failed, 1);
  EXPECT_GE(skipped, 1);
  ASSERT_FALSE(result.warnings.empty());
  EXPECT_EQ(result.warnings.back().code, "device_lost");
}

TEST_F(SimtRun, TooLittleMemoryIsAnOutcome) {
  simulated_device().memory_bytes = 200 << 10;
  int out_of_memory = 0;
  for (const PointRecord& point : run().points)
    for (const PartRecord& part : point.parts)
      if (part.outcome == Outcome::out_of_memory) {
        ++out_of_memory;
        EXPECT_GT(part.need_bytes.value(), part.have_bytes.value());
      }
  EXPECT_GE(out_of_memory, 1);
}

// Choosing among variants, with a planted time for each launch. A layer of the tiny model at 2 tokens has 3 linears and
// one moe_experts that more than one variant can do; cuda_skinny refuses the router's 8 rows.
class SimtChoice : public SimtRun {
 protected:
  using Seconds = std::map<std::string, double>;
  const Seconds kTimes_s = {
      {"linear cuda_gemv", 30e-6},
      {"linear cuda_skinny", 20e-6},
      {"linear cuda_tiles", 25e-6},
      {"moe_experts cuda_gemv", 50e-6},
      {"moe_experts cuda_small_tiles", 40e-6},
      {"grouped_linear cuda_tiles", 60e-6},
      {"grouped_linear cuda_wgmma", 60e-6},
  };
  static constexpr double kOther_s = 1e-6;

  void SetUp() override {
    SimtRun::SetUp();
    simulated_device().clock = nullptr;
    plan_.points.pop_back();
    plan_.points[0].scenario.batch = 2;
    plan_.with_head = false;
    plan_.policy.min_samples = plan_.policy.max_samples = 1;
    plan_.policy.section_min_s = 1e-6;    // one pass: short tests
    plan_.policy.gpu_choice_share = 100;  // of 0.01 s
    plant(kTimes_s);
  }
  static void plant(const Seconds& s) {
    simulated_device().launch_s = [s](const std::string& what) {
      const auto known = s.find(what);
      return known == s.end() ? kOther_s : known->second;
    };
  }
  // The part, and the planted time that choosing took.
  PartRecord run_part(double* spent_s = nullptr) {
    Runtime runtime(find_device("cuda:0"));
    result_ = {};
    plan_result(plan_, runtime.device(), result_);
    double begin_s = 0;
    const auto progress = [&](const std::string& what, double) {
      if (what.starts_with("choosing")) begin_s = simulated_device().wall_s;
      if (what.starts_with("checking") && spent_s != nullptr) *spent_s = simulated_device().wall_s - begin_s;
    };
    measure_all(plan_, runtime, result_, {progress, {}});
    const PartRecord& part = result_.points.at(0).parts.at(0);
    EXPECT_EQ(part.outcome, Outcome::measured) << part.why;
    return part;
  }
  static const OpRecord& op(const PartRecord& part, const std::string& component) {
    for (const OpRecord& o : part.ops)
      if (o.component == component) return o;
    throw std::runtime_error("no " + component);
  }
  static Seconds tried(const OpRecord& o) {
    Seconds out;
    for (const TriedVariant& t : o.tried) out[t.variant] = t.time_s;
    return out;
  }

  ResultFile result_;
};

TEST_F(SimtChoice, PicksWhatASweepWouldAndStoresWhatWasTried) {
  const PartRecord part = run_part();
  for (const char* component : {"qkv", "o"}) {
    const OpRecord& o = op(part, component);
    EXPECT_EQ(o.variant, "cuda_skinny") << component;
    EXPECT_EQ(o.chosen_by, "measured") << component;
    ASSERT_EQ(o.tried.size(), 3u) << component;
    EXPECT_EQ(o.tried[0].variant, "cuda_skinny") << "in the op's order";
    EXPECT_NEAR(tried(o).at("cuda_gemv"), 30e-6, 1e-12);
    EXPECT_NEAR(tried(o).at("cuda_skinny"), 20e-6, 1e-12);
    EXPECT_NEAR(tried(o).at("cuda_tiles"), 25e-6, 1e-12);
  }
  EXPECT_EQ(op(part, "router").variant, "cuda_tiles");
  EXPECT_EQ(tried(op(part, "router")).size(), 2u);
  const OpRecord& experts = op(part, "experts");
  EXPECT_EQ(experts.variant, "cuda_small_tiles");
  EXPECT_EQ(experts.chosen_by, "measured");
  EXPECT_NEAR(tried(experts).at("cuda_gemv"), 50e-6, 1e-12);
  EXPECT_NEAR(tried(experts).at("cuda_small_tiles"), 40e-6, 1e-12);
  // Two grouped products of 60 us and three others of 1 us: given up after one pass, and stored.
  EXPECT_NEAR(tried(experts).at("cuda_chain"), 123e-6, 1e-12);
  EXPECT_EQ(op(part, "attention").chosen_by, "order");
  EXPECT_TRUE(op(part, "attention").tried.empty());

  double best_s = INFINITY;
  std::string best;
  for (const char* linear : {"cuda_gemv", "cuda_skinny", "cuda_tiles"})
    for (const char* moe : {"cuda_gemv", "cuda_small_tiles", "cuda_chain"}) {
      plan_.pins = {
          {.op = "qkv", .variant = linear}, {.op = "o", .variant = linear}, {.op = "moe_experts", .variant = moe}};
      const double t = run_part().rounds.at(0).samples.at(0).time_s;
      if (t < best_s) best_s = t, best = std::string(linear) + " " + moe;
    }
  EXPECT_EQ(best, "cuda_skinny cuda_small_tiles");
  EXPECT_NEAR(part.rounds.at(0).samples.at(0).time_s, best_s, 1e-12);
}

TEST_F(SimtChoice, WithinTheNoiseTheOrderStays) {
  Seconds near = kTimes_s;
  near["linear cuda_gemv"] = 20e-6;
  near["linear cuda_skinny"] = 20.2e-6;  // 1 % slower, read with a spread of 3 %
  std::mt19937 random(7);
  std::uniform_real_distribution<double> noise(0.985, 1.015);
  plant(near);
  simulated_device().launch_s = [planted = simulated_device().launch_s, random, noise](const std::string& w) mutable {
    return planted(w) * noise(random);
  };
  const PartRecord part = run_part();
  EXPECT_EQ(op(part, "qkv").variant, "cuda_skinny");
  EXPECT_EQ(op(part, "qkv").chosen_by, "measured");
  EXPECT_EQ(op(part, "experts").variant, "cuda_small_tiles") << "20 % are no noise";
}

TEST_F(SimtChoice, KeepsItsBudget) {
  double all_s = 0;
  run_part(&all_s);
  int cut = 0;
  for (const double share : {0.001, 0.1, 0.3, 1.0}) {
    SCOPED_TRACE(share);
    plan_.policy.gpu_choice_share = share;
    const double budget_s = share * 0.01;
    double spent_s = 0;
    const PartRecord part = run_part(&spent_s);
    // The first layer is run before anything is known. None is slower than this one: three linears of 30 us, the chain
    // with 123 us, seven others of 1 us.
    EXPECT_LE(spent_s, std::max(budget_s, 220e-6));
    cut += spent_s < all_s;
    for (const OpRecord& o : part.ops) {
      EXPECT_EQ(o.chosen_by == "measured", !o.tried.empty()) << o.component;
      EXPECT_TRUE(o.tried.empty() || o.tried.size() >= 2) << o.component;
      if (o.chosen_by == "order" && o.component == "qkv") {
        EXPECT_EQ(o.variant, "cuda_skinny");
      }
    }
    if (share == 0.001) {
      EXPECT_EQ(op(part, "qkv").chosen_by, "order");
    }
  }
  EXPECT_GE(cut, 2);
}

TEST_F(SimtChoice, ACandidateThatTheDeviceRefusesIsNamedAndTheRestGoesOn) {
  plant(kTimes_s);
  simulated_device().launch_s = [planted = simulated_device().launch_s](const std::string& what) {
    if (what == "moe_experts cuda_small_tiles") throw std::runtime_error("refused: planted");
    return planted(what);
  };
  const PartRecord part = run_part();
  EXPECT_EQ(op(part, "qkv").variant, "cuda_skinny");
  EXPECT_EQ(op(part, "experts").variant, "cuda_gemv");
  EXPECT_FALSE(tried(op(part, "experts")).contains("cuda_small_tiles"));
  ASSERT_FALSE(result_.warnings.empty());
  EXPECT_EQ(result_.warnings[0].code, "candidate_failed");
  EXPECT_NE(result_.warnings[0].text.find("cuda_small_tiles: refused: planted"), std::string::npos);
}

// As doctor asks: it has no rounds. 64 cubed at 1 ms: 2 x 64^3 / 1 ms.
TEST_F(SimtRun, TheFirstProbeIsOneWithoutARound) {
  Runtime runtime(find_device("cuda:0"));
  RoofProbe probe(DType::bf16, runtime, 64);
  const Roofs roofs = probe.measure();
  EXPECT_GT(roofs.read_bytes_per_s, 0);
  EXPECT_NEAR(roofs.flops_per_s, 524288e3, 1);
}

TEST_F(SimtRun, AFurtherArithmeticIsProbedOnceARoundWhereItIsAskedFor) {
  Runtime runtime(find_device("cuda:0"));
  RoofProbe probe(DType::bf16, runtime, 64);
  probe.add(arithmetic_of(DType::bf16, weight_format("q8_0")));
  probe.add(arithmetic_of(DType::bf16, weight_format("q4_k")));  // which no CUDA variant multiplies: stays unknown
  EXPECT_TRUE(probe.measure().product_flops_per_s.empty());
  const auto rates = [&] { return probe.measure({"bf16 x q4_k", "bf16 x q8_0"}).product_flops_per_s; };
  ASSERT_EQ(rates().size(), 1u);
  EXPECT_NEAR(rates().at("bf16 x q8_0"), 524288e3, 1);
  simulated_device().clock = [] { return SectionTime{2e-3, 2e-3}; };
  EXPECT_NEAR(rates().at("bf16 x q8_0"), 524288e3, 1);
  probe.start_round();
  EXPECT_NEAR(probe.measure().flops_per_s, 262144e3, 1);
  EXPECT_NEAR(rates().at("bf16 x q8_0"), 262144e3, 1);
  simulated_device().clock = [] { return SectionTime{4e-3, 4e-3}; };
  EXPECT_NEAR(probe.measure_anew({"bf16 x q8_0"}).product_flops_per_s.at("bf16 x q8_0"), 131072e3, 1);
}

TEST_F(SimtRun, EachArithmeticIsProbedBesideTheSamplesThatUseIt) {
  plan_.points[0].scenario.weights = WeightTypes::of(weight_format("q8_0"), DType::bf16);
  plan_.points[1].scenario.context = 4;
  plan_.policy.min_samples = plan_.policy.max_samples = 1;
  plan_.policy.section_min_s = 1e-6;  // one pass: a short test
  for (const PointRecord& point : run().points)
    for (const PartRecord& part : point.parts) {
      SCOPED_TRACE(point.weight_type + " " + part.kind);
      ASSERT_EQ(part.outcome, Outcome::measured) << part.why;
      const bool coded = point.weight_type == "q8_0" && part.kind == "moe";
      int named = 0;
      for (const OpRecord& op : part.ops) named += op.product_flops.contains("bf16 x q8_0");
      EXPECT_EQ(named, coded ? 3 : 0);  // qkv, o, experts
      for (const Sample& s : part.rounds.at(0).samples)
        for (const Roofs* roofs : {&s.roofs_before, &s.roofs_after})
          EXPECT_EQ(roofs->product_flops_per_s.size(), coded ? 1u : 0u);
      EXPECT_TRUE(bounds_of(part));
    }
}

TEST(SimtDevice, NothingIsTimedWithoutAPlantedClock) {
  Runtime runtime(find_device("cuda:0"));
  EXPECT_THROW(runtime.time([] {}), std::logic_error);
}

TEST(SimtDevice, AnUnknownIndexIsRefused) {
  try {
    find_device("cuda:7");
    FAIL();
  } catch (const std::exception& e) {
    EXPECT_NE(std::string(e.what()).find("cuda:0"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace layercost

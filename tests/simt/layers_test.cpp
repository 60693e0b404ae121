// Whole layers on the executor: every golden, and a whole run with a clock that is planted, not read.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/measure/layer_check.h"
#include "harness/measure/run.h"
#include "tests/simt/simulated_device.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

struct Golden {
  std::string folder;
  std::int64_t layer;
};

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
  CheckpointReader reader(kGolden / golden.folder / "model.safetensors");
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
  EXPECT_TRUE(result.warnings.empty()) << result.warnings.front().text;
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

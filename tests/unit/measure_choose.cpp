// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "harness/measure/choose.h"
#include "harness/plan/model.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

using Times = std::vector<std::vector<double>>;

TEST(Choose, TheFastestByMedian) {
  EXPECT_EQ(choose_candidate(Times{{1, 1, 1, 1, 9}, {0.5, 0.5, 0.5, 0.5, 20}, {0.8, 0.8, 0.8, 0.8, 0.8}}), 1u);
}

TEST(Choose, WithinTwoPercentTheFirstInOrderStays) {
  EXPECT_EQ(choose_candidate(Times{{1.019, 1.019, 1.019}, {1.0, 1.0, 1.0}}), 0u);
  EXPECT_EQ(choose_candidate(Times{{1.021, 1.021, 1.021}, {1.0, 1.0, 1.0}}), 1u);
}

// Quartiles of 1 .. 9 are 3 and 7: the notch is 1.58 * 4 / sqrt(9) = 2.107, so up to 7.107 is a tie with 5.
TEST(Choose, AWideSpreadWidensTheBand) {
  const std::vector<double> wide = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(choose_candidate(Times{std::vector<double>(9, 7.10), wide}), 0u);
  EXPECT_EQ(choose_candidate(Times{std::vector<double>(9, 7.12), wide}), 1u);
}

TEST(Choose, OneThatWasGivenUpIsNotChosen) {
  EXPECT_EQ(choose_candidate(Times{{}, {2.0}, {3.0}}), 1u);
  EXPECT_EQ(choose_candidate(Times{{}, {}, {3.0}}), 2u);
}

// Two that differ by half a percent, with noise of one percent: sixty processes, one answer.
TEST(Choose, ANearTieAlwaysEndsTheSameWay) {
  std::mt19937 random(1);
  std::normal_distribution<double> noise(1.0, 0.01);
  for (int process = 0; process < 60; ++process) {
    Times t(2);
    for (int i = 0; i < 9; ++i) {
      t[0].push_back(1.005 * noise(random));
      t[1].push_back(1.000 * noise(random));
    }
    EXPECT_EQ(choose_candidate(t), 0u) << process;
  }
}

class Pins : public testing::Test {
 protected:
  Pins() {
    model = find_model("qwen3-4b", std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs");
    scenario.batch = 2;
    plan = plan_layer(model, model.kinds.front(), step_shape(scenario, false));
    for (const PlannedOp& p : plan.ops)
      if (p.component == "qkv") qkv = p;
    device.target = Target::cpu;
  }
  const Variant* pinned(const VariantPin& pin) {
    return pinned_variant(std::vector{pin}, model, scenario, plan, qkv, device);
  }
  ModelSpec model;
  Scenario scenario;
  LayerPlan plan;
  PlannedOp qkv;
  DeviceInfo device;
};

TEST_F(Pins, FitByOpOrComponentAndByWhatTheyName) {
  EXPECT_STREQ(pinned({.op = "linear", .variant = "plain_loops"})->name, "plain_loops");
  EXPECT_STREQ(
      pinned({.op = "qkv", .variant = "plain_loops", .model = "qwen3-4b", .phase = "decode", .batch = 2})->name,
      "plain_loops");
  EXPECT_EQ(pinned({.op = "down", .variant = "plain_loops"}), nullptr);
  EXPECT_EQ(pinned({.op = "qkv", .variant = "plain_loops", .batch = 8}), nullptr);
  EXPECT_EQ(pinned({.op = "qkv", .variant = "plain_loops", .model = "qwen3-32b"}), nullptr);
  EXPECT_EQ(pinned({.op = "qkv", .variant = "plain_loops", .phase = "prefill"}), nullptr);
}

TEST_F(Pins, AVariantThatCannotDoItIsAnErrorAndNotSilentlyAnother) {
  EXPECT_THROW(pinned({.op = "qkv", .variant = "cuda_gemv"}), BadCase);
  EXPECT_THROW(pinned({.op = "qkv", .variant = "bf16_tiles"}), BadCase);  // the device has no AVX-512-BF16
  EXPECT_THROW(pinned({.op = "qkv", .variant = "nonesuch"}), BadInput);
}

TEST_F(Pins, OfAnEarlierResultReplayItsChoices) {
  ResultFile file;
  PointRecord point;
  point.model = "qwen3-4b", point.phase = "decode", point.batch = 2, point.context = scenario.context;
  PartRecord part;
  part.kind = plan.kind;
  OpRecord op;
  op.component = "qkv", op.variant = "plain_loops";
  part.ops.push_back(op);
  point.parts.push_back(part);
  file.points.push_back(point);
  const auto pins = pins_of(file);
  ASSERT_EQ(pins.size(), 1u);
  EXPECT_STREQ(pinned_variant(pins, model, scenario, plan, qkv, device)->name, "plain_loops");
  scenario.batch = 3;
  EXPECT_EQ(pinned_variant(pins, model, scenario, plan, qkv, device), nullptr);
}

TEST_F(Pins, CandidatesLeavePlainLoopsOutUnlessAlone) {
  EXPECT_STREQ(candidates(qkv, device).back()->name, candidates(qkv, device).front()->name);
  device.cpu.avx512 = device.cpu.avx512_bf16 = true;
  const auto several = candidates(qkv, device);
  ASSERT_FALSE(several.empty());
  for (const Variant* v : several) EXPECT_STRNE(v->name, "plain_loops");
}

// An op of six variants, in their order.
std::vector<const Variant*> listed;
TEST(Candidates, EndAtThePlainOne) {
  constexpr auto refuses = [](const OpCase&, const DeviceInfo&) { return Support::no("planted"); };
  const Variant a{.name = "a", .target = Target::cuda, .provider = ""},
      b{.name = "b", .target = Target::cuda, .provider = ""},
      refusing{.name = "r", .target = Target::cuda, .provider = "", .supports = refuses},
      cpu{.name = "plain_loops", .target = Target::cpu, .provider = ""},
      plain{.name = "cuda_plain", .target = Target::cuda, .provider = ""},
      unproven{.name = "u", .target = Target::cuda, .provider = ""};
  OpDef op{.name = "planted"};
  op.variants = [] { return std::span<const Variant* const>(listed); };
  DeviceInfo device;
  device.target = Target::cuda;
  using List = std::vector<const Variant*>;
  const auto of = [&](const List& all) {
    listed = all;
    return candidates(op, OpCase("planted"), device);
  };
  EXPECT_EQ(of({&a, &cpu, &refusing, &b, &plain, &unproven}), (List{&a, &b}));
  EXPECT_EQ(of({&refusing, &plain, &unproven}), (List{&plain}));
}

}  // namespace
}  // namespace layercost

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
    at = {"qwen3-4b", "decode", 2, scenario.context, 1, "bf16", "bf16", "bf16", "cpu", "", ""};
  }
  const Variant* pinned(const VariantPin& pin) { return pinned_variant(std::vector{pin}, at, plan, qkv, device); }
  ModelSpec model;
  Scenario scenario;
  LayerPlan plan;
  PlannedOp qkv;
  DeviceInfo device;
  ScenarioRecord at;
};

TEST_F(Pins, FitByOpOrComponentAndByWhatTheyName) {
  EXPECT_STREQ(pinned({.op = "linear", .variant = "plain_loops"})->name, "plain_loops");
  EXPECT_STREQ(pinned({.op = "qkv", .variant = "plain_loops", .at = at, .kind = plan.kind})->name, "plain_loops");
  EXPECT_EQ(pinned({.op = "down", .variant = "plain_loops"}), nullptr);
  EXPECT_EQ(pinned({.op = "qkv", .variant = "plain_loops", .at = at, .kind = "moe"}), nullptr);
}

TEST_F(Pins, AVariantThatCannotDoItIsAnErrorAndNotSilentlyAnother) {
  EXPECT_THROW(pinned({.op = "qkv", .variant = "cuda_gemv"}), BadCase);
  EXPECT_THROW(pinned({.op = "qkv", .variant = "bf16_tiles"}), BadCase);  // the device has no AVX-512-BF16
  EXPECT_THROW(pinned({.op = "qkv", .variant = "nonesuch"}), BadInput);
}

// One row of bf16 is not what oneDNN's neighbours are there for, but a pin is a pin.
TEST_F(Pins, AVariantThatCanButShouldNotIsTaken) {
  device.cpu.avx2 = device.cpu.avx512 = device.cpu.avx512_bf16 = true;
  for (const Variant* v : candidates(qkv, device)) EXPECT_STRNE(v->name, "highway_columns");
  EXPECT_STREQ(pinned({.op = "qkv", .variant = "highway_columns"})->name, "highway_columns");
}

TEST_F(Pins, OfAnEarlierResultReplayItsChoices) {
  ResultFile file;
  PointRecord point;
  static_cast<ScenarioRecord&>(point) = at;
  PartRecord part;
  part.kind = plan.kind;
  OpRecord op;
  op.component = "qkv", op.variant = "plain_loops";
  part.ops.push_back(op);
  point.parts.push_back(part);
  file.points.push_back(point);
  const auto pins = pins_of(file);
  ASSERT_EQ(pins.size(), 1u);
  EXPECT_STREQ(pinned_variant(pins, at, plan, qkv, device)->name, "plain_loops");
  at.batch = 3;
  EXPECT_EQ(pinned_variant(pins, at, plan, qkv, device), nullptr);
}

TEST_F(Pins, CandidatesLeaveThePlainOneOutUnlessAlone) {
  EXPECT_STREQ(candidates(qkv, device).back()->name, candidates(qkv, device).front()->name);
  device.cpu.avx512 = device.cpu.avx512_bf16 = true;
  const auto several = candidates(qkv, device);
  ASSERT_FALSE(several.empty());
  for (const Variant* v : several) EXPECT_FALSE(v->plain) << v->name;
}

std::vector<const Variant*> listed;  // the variants of an op that is planted
std::span<const Variant* const> list() { return listed; }
Support refuses(const OpCase&, const DeviceInfo&) { return Support::no("planted"); }
bool rather_not(const OpCase&, const DeviceInfo&) { return false; }

class Planted : public testing::Test {
 protected:
  using List = std::vector<const Variant*>;
  Planted() { device.target = Target::cuda; }
  List candidates_of(const List& all) {
    listed = all;
    return candidates(op, OpCase("planted"), device);
  }
  const Variant* default_of(const List& all) {
    listed = all;
    return &default_variant(op, OpCase("planted"), device);
  }
  OpDef op{.name = "planted", .variants = list};
  DeviceInfo device;
  // Names say nothing: "plain" is what the field says.
  Variant a{.name = "plain_in_name", .target = Target::cuda, .provider = ""};
  Variant b{.name = "b", .target = Target::cuda, .provider = ""};
  Variant refusing{.name = "r", .target = Target::cuda, .provider = "", .supports = refuses};
  Variant slower{.name = "s", .target = Target::cuda, .provider = "", .prefers = rather_not};
  Variant cpu{.name = "c", .target = Target::cpu, .provider = "", .plain = true};
  Variant plain{.name = "last_resort", .target = Target::cuda, .provider = "", .plain = true};
  Variant unproven{.name = "u", .target = Target::cuda, .provider = ""};
};

TEST_F(Planted, CandidatesEndAtThePlainOne) {
  EXPECT_EQ(candidates_of({&a, &cpu, &refusing, &b, &plain, &unproven}), (List{&a, &b}));
  EXPECT_EQ(candidates_of({&refusing, &plain, &unproven}), (List{&plain}));
}

TEST_F(Planted, OneThatWouldRatherNotIsChosenOnlyIfNoOtherCan) {
  EXPECT_EQ(candidates_of({&slower, &a, &b, &plain}), (List{&a, &b}));
  EXPECT_EQ(candidates_of({&slower, &plain}), (List{&plain}));
  EXPECT_EQ(default_of({&slower, &a}), &a);
  EXPECT_EQ(default_of({&slower, &plain}), &plain);
  EXPECT_EQ(default_of({&refusing, &slower}), &slower);
  EXPECT_THROW(default_of({&refusing, &cpu}), BadCase);
  EXPECT_TRUE(support(op, slower, OpCase("planted"), device));  // it can
}

}  // namespace
}  // namespace layercost

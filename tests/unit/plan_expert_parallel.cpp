// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "harness/measure/layer_check.h"
#include "harness/plan/counts.h"
#include "harness/plan/expert_parallel.h"
#include "harness/spec/part_name.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;

ModelSpec golden(const char* name) {
  return read_model(std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/golden" / name);
}

StepShape decode(std::int64_t batch) {
  StepShape s;
  s.batch = batch, s.kv_len = 12, s.capacity = 12;
  s.weights = WeightTypes::of(weight_format(DType::f32), DType::f32);
  s.activation_type = s.kv_type = DType::f32;
  s.forced_routing = true;
  return s;
}

LayerPlan plan_named(const ModelSpec& m, const std::string& kind, const StepShape& s) {
  const auto it = std::find_if(m.kinds.begin(), m.kinds.end(), [&](const LayerKind& k) { return k.name == kind; });
  return plan_layer(m, *it, s);
}

// DeepSeek-V3 on 32 devices, by hand: 256 experts are 8 each; 64 sequences with 8 experts each send 512 rows, and as
// many come. Of the model's 58 layers with experts each device does both parts.
TEST(ExpertParallel, ADeviceHasItsShareOfTheExpertsAndOfTheRows) {
  const ModelSpec whole = find_model("deepseek-v3", kConfigs), m = share_experts(whole, 32);
  EXPECT_EQ(m.name, "deepseek-v3@ep32");
  const LayerPlan received = plan_named(m, "received moe", decode(64)), own = plan_named(m, "moe", decode(64));
  EXPECT_EQ(received.count, 58);
  EXPECT_EQ(own.count, 58);
  EXPECT_EQ(received.shape.tokens(), 512);
  EXPECT_EQ(received.experts(), (ExpertChoice{8, 1}));
  EXPECT_EQ(own.experts(), (ExpertChoice{256, 8}));
  EXPECT_EQ(received.weights[0].shape, (Shape{8, 4096, 7168}));
  EXPECT_EQ(received.weights[0].sources.size(), 16u) << "gate and up of each";
  EXPECT_EQ(received.weights[1].shape, (Shape{8, 7168, 2048}));
  EXPECT_EQ(received.weights[1].sources.size(), 8u);
  EXPECT_EQ(count_parameters(m).total, count_parameters(whole).total);
  // 58 layers x 512 rows x 7168 values of 4 bytes to the experts and as many back, 31 of 32 of them elsewhere.
  EXPECT_DOUBLE_EQ(exchange_bytes(m, decode(64)), 2.0 * 58 * 512 * 7168 * 4 * 31 / 32);
  EXPECT_EQ(exchange_bytes(whole, decode(64)), 0);
}

// Nothing is lost or held twice: what a device has of its own, and every device's experts, are the layer.
TEST(ExpertParallel, TheDevicesTogetherHoldTheLayer) {
  for (const char* name : {"deepseek_v2_lite", "deepseek_v3_kimi", "gpt_oss_yarn", "qwen3_next_turns"}) {
    SCOPED_TRACE(name);
    const ModelSpec whole = golden(name), m = share_experts(whole, 2);
    for (const LayerKind& kind : m.kinds) {
      if (!is_received_part(kind.name)) continue;
      const std::string layer(kind_of_part(kind.name));
      const double all = plan_named(whole, layer, decode(3)).weight_bytes();
      const double own = plan_named(m, layer, decode(3)).weight_bytes();
      const double received = plan_named(m, kind.name, decode(3)).weight_bytes();
      EXPECT_GT(received, 0);
      EXPECT_EQ(own + 2 * received, all) << layer;
      EXPECT_EQ(plan_named(m, layer, decode(3)).count, plan_named(whole, layer, decode(3)).count);
    }
  }
}

// Both parts are checked as layers are, and a row that went to another expert, or that is summed with another token's
// weights, is seen.
TEST(ExpertParallel, BothPartsAreCheckedAgainstReferences) {
  Runtime runtime(describe_cpu());
  for (const char* name : {"deepseek_v2_lite", "deepseek_v3_kimi", "gpt_oss_yarn"}) {
    const ModelSpec m = share_experts(golden(name), 2);
    for (const LayerKind& kind : m.kinds) {
      SCOPED_TRACE(name + (" " + kind.name));
      StepShape shape = decode(5);
      const LayerPlan plan = plan_layer(m, kind, shape);
      BufferSet buffers = shared_buffers(plan, runtime);
      buffers.merge(own_buffers(plan, 1, 0, runtime));
      fill_normal(runtime, buffers.at("input")->view(), 2);
      const auto ids = plan.find_buffer(BufferRole::forced_ids);
      if (ids != nullptr) {
        const ExpertChoice choice = *plan.experts();
        const Tensor& t = buffers.at(ids->name)->view();
        for (std::int64_t i = 0; i < t.elements(); ++i)
          t.as<std::int32_t>()[i] = static_cast<std::int32_t>((i / choice.top_k + i % choice.top_k) % choice.experts);
      }
      Layer layer(plan, synthetic_weights(plan, 1, 0), buffers, runtime);
      layer.run();
      std::vector<std::int64_t> rows(static_cast<std::size_t>(plan.shape.tokens()));
      std::iota(rows.begin(), rows.end(), 0);
      const auto judge = [&] {
        Verdict v;
        check_layer(layer, rows, v);
        return v;
      };
      const Verdict right = judge();
      EXPECT_TRUE(right.ok) << right.why;
      if (is_received_part(kind.name)) {
        const Tensor& t = buffers.at(ids->name)->view();
        std::swap(t.as<std::int32_t>()[0], t.as<std::int32_t>()[1]);
        EXPECT_FALSE(judge().ok) << "as if two rows had gone to each other's expert";
      } else if (const BufferSpec* returned = plan.find_buffer(BufferRole::from_outside)) {
        const Tensor& t = buffers.at(returned->name)->view();
        std::swap_ranges(t.as<float>(), t.as<float>() + t.dim(1), t.as<float>() + t.dim(1));
        EXPECT_FALSE(judge().ok) << "as if two tokens had got each other's rows";
      }
    }
  }
}

TEST(ExpertParallel, WhatCannotBeSharedIsRefused) {
  EXPECT_EQ(find_model("deepseek-v3@ep32", kConfigs).devices, 32);
  const std::string twice = bad_input([] { share_experts(find_model("deepseek-v3@ep4", kConfigs), 2); });
  EXPECT_TRUE(contains(twice, "deepseek-v3@ep4 is one of several devices already")) << twice;
  for (const char* name : {"deepseek-v3@ep", "deepseek-v3@ep1", "deepseek-v3@ep-2", "deepseek-v3@ep8x"}) {
    const std::string unknown = bad_input([&] { find_model(name, kConfigs); });
    EXPECT_TRUE(contains(unknown, "no model")) << unknown;
  }
  const std::string devices = bad_input([] { share_experts(find_model("deepseek-v3", kConfigs), 48); });
  EXPECT_TRUE(contains(devices, "--ep: 48 devices")) << devices;
  EXPECT_TRUE(contains(devices, "256 experts")) << devices;
  const std::string dense = bad_input([] { share_experts(find_model("qwen3-4b", kConfigs), 2); });
  EXPECT_TRUE(contains(dense, "--ep: qwen3-4b has no experts")) << dense;
}

}  // namespace
}  // namespace layercost

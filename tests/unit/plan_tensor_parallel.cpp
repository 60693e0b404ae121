// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "harness/measure/layer_check.h"
#include "harness/plan/counts.h"
#include "harness/plan/expert_parallel.h"
#include "harness/plan/tensor_parallel.h"
#include "harness/spec/part_name.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;

const std::filesystem::path kGolden = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests" / "golden";

StepShape f32_step() {
  StepShape s;
  s.weights = WeightTypes::of(weight_format(DType::f32), DType::f32);
  s.activation_type = s.kv_type = DType::f32;
  return s;
}

LayerPlan plan_named(const ModelSpec& m, const std::string& kind, const StepShape& s) {
  const auto it = std::find_if(m.kinds.begin(), m.kinds.end(), [&](const LayerKind& k) { return k.name == kind; });
  return plan_layer(m, *it, s);
}
const OpCase& case_of(const LayerPlan& plan, const std::string& component) {
  return std::find_if(plan.ops.begin(), plan.ops.end(), [&](const auto& p) { return p.component == component; })
      ->op_case;
}
const WeightSpec& weight_of(const LayerPlan& plan, const std::string& name) {
  return *std::find_if(plan.weights.begin(), plan.weights.end(), [&](const auto& w) { return w.name == name; });
}

// DeepSeek-V3 on 8 ranks, by hand: 16 of 128 heads, an eighth of every width and of 129280 words; latents are whole.
TEST(TensorParallel, ARankHasItsPartOfHeadsWidthsAndWords) {
  const ModelSpec whole = find_model("deepseek-v3", kConfigs), m = find_model("deepseek-v3@tp8", kConfigs);
  EXPECT_EQ(m.name, "deepseek-v3@tp8");
  StepShape s = f32_step();
  s.batch = 4;
  const LayerPlan dense = plan_named(m, "dense", s), moe = plan_named(m, "moe", s);
  EXPECT_EQ(case_of(dense, "attention").axis("heads"), 16);
  EXPECT_EQ(weight_of(dense, "q_b_w").shape, (Shape{16 * 192, 1536}));
  EXPECT_EQ(weight_of(dense, "kv_b_w").shape, (Shape{16 * 256, 512}));
  EXPECT_EQ(weight_of(dense, "o_w").shape, (Shape{7168, 16 * 128}));
  EXPECT_EQ(weight_of(dense, "q_a_w").shape, (Shape{1536, 7168})) << "latents are every rank's";
  EXPECT_EQ(weight_of(dense, "gate_up_w").shape, (Shape{2 * 2304, 7168}));
  EXPECT_EQ(weight_of(moe, "experts_gate_up").shape, (Shape{256, 2 * 256, 7168}));
  EXPECT_EQ(weight_of(moe, "experts_down").shape, (Shape{256, 7168, 256}));
  EXPECT_EQ(weight_of(moe, "router_w").shape, (Shape{256, 7168}));
  EXPECT_EQ(weight_of(plan_head(m, 1, s), "lm_head").shape, (Shape{16160, 7168}));
  EXPECT_EQ(kv_elements_per_token(m), kv_elements_per_token(whole));
  EXPECT_EQ(count_parameters(m).total, count_parameters(whole).total);
  // 61 layers with two sums of 4 rows of 7168 values of 4 bytes, by a ring 7/8 of them twice; 4 x 129280 logits.
  const std::vector<Collective> all = collectives_of(m, s);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].count, 2 * 61);
  EXPECT_DOUBLE_EQ(all[0].bytes, 122.0 * 2 * 7 / 8 * 4 * 7168 * 4);
  EXPECT_DOUBLE_EQ(all[1].bytes, 7.0 / 8 * 4 * 129280 * 4);
  EXPECT_EQ(collectives_text(all), "24.5 MB in 122 all-reduces of partial sums and 1.81 MB in an all-gather of logits");
  EXPECT_TRUE(collectives_of(whole, s).empty());
}

// Of 8 key heads and 16 ranks each holds one, and pairs of ranks the same; of 4 ranks each holds two.
TEST(TensorParallel, KeyHeadsFewerThanRanksAreHeldByMoreThanOne) {
  const ModelSpec whole = find_model("qwen3-32b", kConfigs);
  for (const std::int64_t rank : {6, 7}) {
    const ModelSpec m = share_layers(whole, 16, rank);
    const LayerPlan plan = plan_layer(m, m.kinds[0], f32_step());
    EXPECT_EQ(case_of(plan, "attention").axis("heads"), 4);
    EXPECT_EQ(case_of(plan, "attention").axis("kv_heads"), 1);
    const WeightSpec& qkv = weight_of(plan, "qkv_w");
    EXPECT_EQ(qkv.sources[0].first_row, rank * 4 * 128);
    EXPECT_EQ(qkv.sources[1].first_row, 3 * 128) << "query heads 24 to 31 read key head 3";
    EXPECT_EQ(qkv.sources[1].rows, 128);
  }
  EXPECT_EQ(kv_elements_per_token(share_layers(whole, 16)) * 8, kv_elements_per_token(whole));
  EXPECT_EQ(kv_elements_per_token(share_layers(whole, 4)) * 4, kv_elements_per_token(whole));
}

// Of 128167 words the first of two ranks has one more.
TEST(TensorParallel, WordsNeedNotDivide) {
  const ModelSpec whole = find_model("hunyuan-a13b-instruct", kConfigs);
  std::int64_t rows = 0;
  for (const std::int64_t rank : {0, 1}) {
    const WeightSpec w = weight_of(plan_head(share_layers(whole, 2, rank), 1, f32_step()), "lm_head");
    EXPECT_EQ(w.shape[0], rank == 0 ? 64084 : 64083);
    EXPECT_EQ(w.sources[0].first_row, rows);
    rows += w.shape[0];
  }
  EXPECT_EQ(rows, 128167);
}

// Experts that devices share are whole, and reach a device with the tokens of its group once: 64 x 8 rows by 8 ranks.
TEST(TensorParallel, WithSharedExpertsRanksOfAGroupSendARowOnce) {
  const ModelSpec m = find_model("deepseek-v3@tp8@ep32", kConfigs);
  EXPECT_EQ(m.name, "deepseek-v3@tp8@ep32");
  StepShape s = f32_step();
  s.batch = 64;
  const LayerPlan received = plan_named(m, "received moe", s), own = plan_named(m, "moe", s);
  EXPECT_EQ(received.shape.tokens(), 64);
  EXPECT_EQ(received.weights[0].shape, (Shape{8, 4096, 7168}));
  EXPECT_EQ(case_of(own, "attention").axis("heads"), 16);
  EXPECT_EQ(weight_of(own, "shared down_w").shape, (Shape{7168, 256}));
  EXPECT_DOUBLE_EQ(exchange_bytes(m, s), 58.0 * 31 / 32 * (64 + 8 * 64) * 7168 * 4);
  EXPECT_EQ(received_rows(1, 8, 16), 1);
  EXPECT_EQ(ranks_of_name(m.name), 8);
  EXPECT_EQ(ranks_of_name("deepseek-v3@ep32"), 1);
}

// One layer of a golden, whose whole output is that of transformers, on its input.
class GoldenRanks {
 public:
  GoldenRanks(const char* name, std::int64_t layer)
      : folder_(kGolden / name), layer_(layer), whole(read_model(folder_)) {
    io_ = read_layer_io(folder_ / ("io_layer" + std::to_string(layer) + ".safetensors"), whole.hidden);
  }
  // The values of a buffer. without_attention: with zeros for the product behind it.
  std::vector<double> run(const ModelSpec& m, const std::string& buffer, bool without_attention) const {
    StepShape s = f32_step();
    s.batch = io_.batch, s.q_len = s.kv_len = s.capacity = io_.seq;
    const LayerPlan plan = plan_layer(m, m.layer(layer_), s);
    Checkpoint checkpoint({folder_ / "model.safetensors"});
    const std::string place = "model.layers." + std::to_string(layer_) + ".";
    WeightSet weights = checkpoint_weights(
        plan, checkpoint, [&](const std::string& tensor) { return place + tensor; }, layer_);
    for (const char* name : {"o_w", "out_w"})
      if (without_attention && weights.contains(name))
        weights[name] = std::make_shared<const Weight>(
            weight_format(DType::f32), weight_of(plan, name).shape,
            [](std::int64_t, std::int64_t n, void* p) { std::fill_n(static_cast<float*>(p), n, 0.0f); });
    Runtime runtime(describe_cpu());
    BufferSet buffers = shared_buffers(plan, runtime);
    buffers.merge(own_buffers(plan, 1, 0, runtime));
    Layer layer(plan, weights, buffers, runtime);
    const Tensor& in = layer.buffer(BufferRole::input);
    for (std::int64_t i = 0; i < in.elements(); ++i)
      in.store(i, static_cast<double>(io_.input[static_cast<std::size_t>(i)]));
    layer.run();
    std::vector<double> out;
    const Tensor& t = layer.buffer(buffer);
    for (std::int64_t i = 0; i < t.elements(); ++i) out.push_back(t.load(i));
    return out;
  }

 private:
  std::filesystem::path folder_;
  std::int64_t layer_;
  LayerIo io_;

 public:
  const ModelSpec whole;
};

double error(const std::vector<double>& y, const std::vector<double>& expected) {
  double off = 0, all = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    off += (y[i] - expected[i]) * (y[i] - expected[i]), all += expected[i] * expected[i];
  return std::sqrt(off / all);
}

// What attention adds, and, from one stream on, what the layer adds, are the sums over the ranks: heads with biases and
// one key head for all or for two, experts, latents beside dense and shared experts, the gated delta rule and gated
// attention.
TEST(TensorParallel, TheSumOverTheRanksIsTheWholeLayer) {
  const std::tuple<const char*, std::int64_t, std::int64_t> cases[] = {
      {"qwen2_layer_types", 0, 2},  {"mixtral_window", 1, 2},   {"deepseek_v3_groups", 1, 2},
      {"deepseek_v3_groups", 2, 2}, {"qwen3_next_turns", 0, 2}, {"qwen3_next_turns", 3, 2},
      {"glm4_moe_air", 2, 2},       {"qwen3_moe_norm", 0, 2},   {"gemma4_dense", 0, 4},
      {"deepseek_v32_groups", 2, 2},
  };
  for (const auto& [name, layer, ranks] : cases) {
    SCOPED_TRACE(name + (" layer " + std::to_string(layer)));
    const GoldenRanks golden(name, layer);
    for (const bool without_attention : {false, true}) {
      const std::string buffer = without_attention ? "output" : "projected";
      if (without_attention && golden.whole.model_type == "gemma4") continue;  // a norm stands behind its sums
      const std::vector<double> whole = golden.run(golden.whole, buffer, without_attention);
      std::vector<double> sum(whole.size());
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const std::vector<double> part = golden.run(share_layers(golden.whole, ranks, rank), buffer, without_attention);
        EXPECT_GT(error(part, whole), 0.1) << "a rank does not do everything";
        std::transform(sum.begin(), sum.end(), part.begin(), sum.begin(), std::plus());
      }
      EXPECT_LT(error(sum, whole), 1e-5) << buffer;
    }
  }
}

// Nothing is lost: what is cut is there once over all ranks.
TEST(TensorParallel, TheRanksTogetherHoldEveryRowAndColumnOnce) {
  const ModelSpec whole = find_model("qwen3-next-80b-a3b-instruct", kConfigs);
  for (std::size_t k = 0; k < whole.kinds.size(); ++k) {
    const LayerPlan all = plan_layer(whole, whole.kinds[k], f32_step());
    std::map<std::string, std::int64_t> held;
    for (std::int64_t rank = 0; rank < 2; ++rank)
      for (const WeightSpec& w : plan_layer(share_layers(whole, 2, rank), whole.kinds[k], f32_step()).weights)
        held[w.name] += elements_of(w.shape);
    for (const WeightSpec& w : all.weights) {
      const std::int64_t n = elements_of(w.shape);
      EXPECT_TRUE(held.at(w.name) == n || held.at(w.name) == 2 * n) << w.name;
      if (w.shape.size() > 1 && w.name != "router_w" && w.name != "shared gate_w") {
        EXPECT_EQ(held.at(w.name), n) << w.name;
      }
    }
  }
}

TEST(TensorParallel, WhatCannotBeSharedIsRefused) {
  const auto refused = [](const char* name) { return bad_input([&] { find_model(name, kConfigs); }); };
  EXPECT_TRUE(contains(refused("qwen3-14b@tp16"), "--tp: qwen3-14b: 16 ranks do not divide the 40 heads of attention"));
  EXPECT_TRUE(contains(refused("minimax-m2.5@tp8"), "a norm over all heads of q and of k"));
  EXPECT_TRUE(contains(refused("minimax-text-01@tp8"), "lightning attention"));
  EXPECT_TRUE(contains(refused("deepseek-v3@tp32"), "share a scale in fp8_block128")) << refused("deepseek-v3@tp32");
  EXPECT_NO_THROW(find_model("deepseek-v3@tp16@ep32", kConfigs));
  EXPECT_TRUE(contains(refused("deepseek-v3@tp8@tp8"), "one of several ranks already"));
  EXPECT_TRUE(contains(refused("deepseek-v3@ep32@tp8"), "as in name@tp8@ep32"));
  EXPECT_TRUE(contains(refused("deepseek-v3@tp8@ep4"), "no multiple of the 8 ranks"));
  for (const char* name : {"qwen3-4b@tp", "qwen3-4b@tp1", "qwen3-4b@tp-2", "qwen3-4b@tp8x"})
    EXPECT_TRUE(contains(refused(name), "no model")) << name;
}

}  // namespace
}  // namespace layercost

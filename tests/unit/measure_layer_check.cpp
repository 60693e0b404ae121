// What a layer's verdict sees: one token of mixtures of experts on the CPU, with a common factor planted into what the
// layer adds.
// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/layer_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "harness/plan/layer_plan.h"

namespace layercost {
namespace {

Verdict verdict_of(int top_k, double factor) {
  const auto path = std::filesystem::path(testing::TempDir()) / fmt::format("layercost_gain_{}", top_k);
  std::filesystem::create_directories(path);
  std::ofstream(path / "config.json") << fmt::format(
      R"({{"model_type": "qwen3_moe", "hidden_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 2,
           "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 64, "moe_intermediate_size": 64,
           "num_experts": 16, "num_experts_per_tok": {}, "norm_topk_prob": true, "vocab_size": 100,
           "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000, "hidden_act": "silu",
           "tie_word_embeddings": false}})",
      top_k);
  const ModelSpec model = read_model(path / "config.json");
  std::filesystem::remove_all(path);
  StepShape shape;
  shape.kv_len = shape.capacity = 9;
  const LayerPlan plan = plan_layer(model, kinds_of(model).front().first, shape);
  Runtime runtime(describe_cpu());
  BufferSet buffers = shared_buffers(plan, model.rope, runtime);
  buffers.merge(own_buffers(plan, 1, 0, runtime));
  fill_normal(runtime, buffers.at("input")->view(), 2);
  Layer layer(plan, synthetic_weights(plan, 1, 0), buffers, runtime);
  layer.run();
  const Tensor &x = layer.buffer("input"), &y = layer.buffer("output");
  for (std::int64_t i = 0; i < y.elements(); ++i) y.store(i, x.load(i) + factor * (y.load(i) - x.load(i)));
  Verdict verdict;
  check_layer(layer, {0}, verdict);
  return verdict;
}

TEST(LayerGain, IsHeldAgainstTheNumberOfRoutingWeights) {
  for (const int top_k : {1, 8}) {
    SCOPED_TRACE(top_k);
    const Verdict right = verdict_of(top_k, 1.0), wrong = verdict_of(top_k, 1.007);
    EXPECT_TRUE(right.ok) << right.why;
    EXPECT_FALSE(wrong.ok) << "gain " << wrong.gain << " of " << wrong.gain_limit;
    EXPECT_NE(wrong.why.find("common factor"), std::string::npos) << wrong.why;
    EXPECT_GT(wrong.gain, wrong.gain_limit) << "the limit that was applied stands beside it";
  }
  // One row of 1024: 5 x 0.02 / sqrt(1024); eight weights: 0.01 / sqrt(8); one weight would be 0.01, of which 4e-3
  // stay.
  EXPECT_NEAR(verdict_of(8, 1.0).gain_limit, 0.01 / std::sqrt(8.0), 1e-12);
  EXPECT_NEAR(verdict_of(1, 1.0).gain_limit, 4e-3, 1e-12);
}

}  // namespace
}  // namespace layercost

// The work that a case implies, as a result is held against it.
// SPDX-License-Identifier: Apache-2.0
#include "harness/result/op_work.h"

#include <gtest/gtest.h>

#include "harness/measure/op_records.h"
#include "harness/plan/model.h"
#include "harness/plan/step.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

CaseWork work(const char* text) { return work_of(OpCase::parse(text)).value(); }

TEST(OpWork, ByHand) {
  // 2 x 3 x 4 x 5 and one more addition for each of 3 x 4 sums; 4 x 5 weights and 4 biases of 2 bytes.
  const CaseWork product = work("linear m=3 n=4 k=5 x_type=f32 w_type=bf16 y_type=bf16 bias=1");
  EXPECT_EQ(product.flops, 132);
  EXPECT_EQ(product.bytes, 48);
  EXPECT_EQ(product.input_bytes, 60);
  EXPECT_EQ(product.output_bytes, 24);
  // 129 x 1 in blocks of 128 x 128: 129 codes and two scales.
  EXPECT_EQ(work("linear m=1 n=129 k=1 x_type=f32 w_type=fp8_block128 y_type=f32").bytes, 137);
  // Queries at the end of 5 keys see 3, 4, 5 of them; with a window of 4 3, 4, 4, and the first key nobody but the
  // first query, whose window it lies in.
  EXPECT_EQ(work("attention batch=1 q_len=3 kv_len=5 capacity=5 heads=2 kv_heads=1 qk_dim=2 v_dim=2 scale=1 "
                 "x_type=f32 kv_type=f32 y_type=f32")
                .flops,
            2 * 4 * 12 * 2);
  const CaseWork window = work(
      "attention batch=1 q_len=3 kv_len=5 capacity=5 heads=2 kv_heads=1 qk_dim=2 v_dim=2 window=4 scale=1 "
      "x_type=f32 kv_type=f32 y_type=f32");
  EXPECT_EQ(window.flops, 2 * 4 * 11 * 2);
  EXPECT_EQ(window.bytes, 4 * 5 * 4);
}

// What is multiplied with what, by the types of the case, whatever variant does it.
TEST(OpWork, ProductsByTheirArithmetic) {
  using ByName = std::map<std::string, double>;
  const auto products = [](const char* text) { return work(text).product_flops; };
  // 2 x 3 x 4 x 32; the bias's 12 additions are nobody's product.
  EXPECT_EQ(products("linear m=3 n=4 k=32 x_type=bf16 w_type=q8_0 y_type=bf16 bias=1 bias_type=bf16"),
            (ByName{{"bf16 x q8_0", 768}}));
  EXPECT_EQ(products("linear m=3 n=4 k=32 x_type=f32 w_type=q8_0 y_type=bf16"), (ByName{{"f32 x q8_0", 768}}));
  EXPECT_EQ(products("linear m=3 n=4 k=32 x_type=bf16 w_type=bf16 y_type=f32"), (ByName{{"bf16", 768}}));
  EXPECT_EQ(products("linear m=3 n=4 k=32 x_type=bf16 w_type=f32 y_type=f32"), (ByName{{"f32", 768}}));
  EXPECT_EQ(products("linear m=3 n=4 k=32 x_type=f32 w_type=bf16 y_type=f32"), (ByName{{"f32", 768}}));
  EXPECT_EQ(products("grouped_linear rows=3 experts=2 n=4 k=32 x_type=bf16 w_type=q4_0 y_type=bf16"),
            (ByName{{"bf16 x q4_0", 768}}));
  EXPECT_EQ(products("head_linear tokens=1 heads=3 n=4 k=32 rows=4 x_type=bf16 w_type=fp8_block128 y_type=bf16"),
            (ByName{{"bf16 x fp8_block128", 768}}));
  // 5 tokens, 2 experts each: 10 times 4 x 256 x 512 into gate and up, half of that down.
  const char* experts =
      "moe_experts tokens=5 hidden=256 ffn_hidden=512 experts=4 top_k=2 x_type=bf16 w_type=q4_k y_type=bf16";
  EXPECT_EQ(products((std::string(experts) + " down_type=q6_k").c_str()),
            (ByName{{"bf16 x q4_k", 5242880}, {"bf16 x q6_k", 2621440}}));
  EXPECT_EQ(products(experts), (ByName{{"bf16 x q4_k", 7864320}}));
  // One query, 3 keys, 2 + 2 dims, 2 heads: 48. A cache in fp8 is widened to the type of the queries, which holds it.
  const std::string attention =
      "attention batch=1 q_len=1 kv_len=3 capacity=3 heads=2 kv_heads=1 qk_dim=2 v_dim=2 scale=1 y_type=bf16 ";
  EXPECT_EQ(products((attention + "x_type=bf16 kv_type=bf16").c_str()), (ByName{{"bf16", 48}}));
  EXPECT_EQ(products((attention + "x_type=bf16 kv_type=fp8_e4m3").c_str()), (ByName{{"bf16", 48}}));
  EXPECT_EQ(products((attention + "x_type=bf16 kv_type=f32").c_str()), (ByName{{"f32", 48}}));
  // Linear attention keeps its states in f32, and multiplies in it.
  EXPECT_EQ(products("gated_delta batch=1 q_len=2 heads=2 key_heads=1 key_dim=4 value_dim=8 x_type=bf16 y_type=bf16"),
            (ByName{{"f32", 2 * 2 * 6 * 32}}));
  EXPECT_EQ(products("glu tokens=1 ffn_hidden=8 x_type=bf16 y_type=bf16"), ByName{});
  EXPECT_EQ(other_products({{"bf16", 1}, {"f32", 2}}, "bf16"), (ByName{{"f32", 2}}));
}

TEST(OpWork, WhatIsNoneOfThisProgram) {
  EXPECT_FALSE(work_of(OpCase::parse("recipe m=1")));
  EXPECT_THROW(work_of(OpCase::parse("glu tokens=1 ffn_hidden=8 x_type=f32 y_type=f32 recipe=1")), BadCase);
  EXPECT_THROW(work_of(OpCase::parse("glu tokens=1 x_type=f32 y_type=f32")), BadCase);
  EXPECT_THROW(work_of(OpCase::parse("glu tokens=4294967296 ffn_hidden=4294967296 x_type=f32 y_type=f32")), BadCase);
}

TEST(OpWork, ALayersRecordsNameWhatIsNotItsOwn) {
  const ModelSpec model = find_model("qwen3-30b-a3b", std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs");
  StepShape shape;
  const auto named = [&] {
    std::map<std::string, std::string> by_component;
    for (const OpRecord& op : op_records(plan_layer(model, model.kinds.front(), shape)))
      for (const auto& [arithmetic, flops] : op.product_flops) by_component[op.component] += arithmetic;
    return by_component;
  };
  EXPECT_TRUE(named().empty());  // bf16 all over
  shape.weights = WeightTypes::of(weight_format("q8_0"), DType::bf16);
  EXPECT_EQ(named(), (std::map<std::string, std::string>{
                         {"qkv", "bf16 x q8_0"}, {"o", "bf16 x q8_0"}, {"experts", "bf16 x q8_0"}}));
}

// Layers and heads of all models that ship, as they get into results.
TEST(OpWork, IsWhatResultsSay) {
  const std::filesystem::path configs = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs";
  for (const std::string& name : list_models(configs)) {
    const ModelSpec model = find_model(name, configs);
    std::vector<LayerPlan> plans = {plan_head(model, 2, {})};
    for (const LayerKind& kind : model.kinds) plans.push_back(plan_layer(model, kind, {}));
    for (const LayerPlan& plan : plans) {
      const std::vector<OpRecord> ops = op_records(plan);
      for (const OpRecord& op : ops) {
        const auto here = work_of(OpCase::parse(op.case_text));
        ASSERT_TRUE(here) << name << ": " << op.case_text;
        double products = 0;
        for (const auto& [arithmetic, flops] : here->product_flops) products += flops;
        EXPECT_LE(products, op.flops) << name << ": " << op.case_text;
        EXPECT_DOUBLE_EQ(op.bytes, here->bytes + (&op == &ops.front() ? here->input_bytes : 0) +
                                       (&op == &ops.back() ? here->output_bytes : 0))
            << name << ": " << op.case_text;
      }
    }
  }
}

}  // namespace
}  // namespace layercost

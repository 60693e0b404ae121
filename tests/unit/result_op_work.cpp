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

TEST(OpWork, WhatIsNoneOfThisProgram) {
  EXPECT_FALSE(work_of(OpCase::parse("recipe m=1")));
  EXPECT_THROW(work_of(OpCase::parse("glu tokens=1 ffn_hidden=8 x_type=f32 y_type=f32 recipe=1")), BadCase);
  EXPECT_THROW(work_of(OpCase::parse("glu tokens=1 x_type=f32 y_type=f32")), BadCase);
  EXPECT_THROW(work_of(OpCase::parse("glu tokens=4294967296 ffn_hidden=4294967296 x_type=f32 y_type=f32")), BadCase);
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
        EXPECT_DOUBLE_EQ(op.bytes, here->bytes + (&op == &ops.front() ? here->input_bytes : 0) +
                                       (&op == &ops.back() ? here->output_bytes : 0))
            << name << ": " << op.case_text;
      }
    }
  }
}

}  // namespace
}  // namespace layercost

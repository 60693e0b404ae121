// Products of codes where matrices of one weight differ in size by far, as experts of a checkpoint may: synthetic ones
// all have the same largest element, so that the conformance tests do not see whose factor is taken.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/contract/registry.h"

namespace layercost {
namespace {

TEST(CodedWeights, EveryMatrixHasItsFactor) {
  constexpr std::int64_t kRows = 6, kExperts = 3, kN = 70, kK = 96;
  for (const WeightFormat& f : weight_formats()) {
    if (f.is_plain()) continue;
    const OpCase c = OpCase("grouped_linear")
                         .set("rows", kRows)
                         .set("experts", kExperts)
                         .set("n", kN)
                         .set("k", f.whole_blocks ? std::max<std::int64_t>(kK, f.block_columns) : kK)
                         .set("x_type", DType::bf16)
                         .set("w_type", f.name)
                         .set("y_type", DType::f32);
    const std::int64_t k = c.axis("k");
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    OwnedTensor x(DType::bf16, {kRows, k}), offsets(DType::i32, {kExperts + 1}), y(DType::f32, {kRows, kN}),
        expected(DType::f64, {kRows, kN});
    for (std::int64_t i = 0; i < kRows * k; ++i) x.view().store(i, normal(random));
    for (std::int64_t e = 0; e <= kExperts; ++e)
      offsets.view().as<std::int32_t>()[e] = static_cast<std::int32_t>(2 * e);
    const auto w = std::make_shared<const Weight>(
        f, Shape{kExperts, kN, k}, [&](std::int64_t first, std::int64_t count, void* out) {
          for (std::int64_t i = first; i < first + count; ++i) {
            const auto matrix = static_cast<double>(i / (kN * k));
            static_cast<float*>(out)[i - first] =
                static_cast<float>(std::sin(static_cast<double>(i % 1009)) * std::pow(30.0, matrix - 1));
          }
        });
    OpTensors t;
    t.bind("x", x);
    t.bind("offsets", offsets);
    t.bind("w", w);
    t.bind("y", expected);
    const OpDef& op = find_op("grouped_linear");
    op.reference(c, t);
    t.bind("y", y);
    Runtime runtime(describe_cpu(2));
    for (const Variant* variant : op.variants()) {
      if (variant->target != Target::cpu || !support(op, *variant, c, runtime.device())) continue;
      SCOPED_TRACE(std::string(f.name) + " " + variant->name);
      variant->prepare(c, t, runtime)->run();
      for (std::int64_t r = 0; r < kRows; ++r) {
        double error = 0, size = 0;
        for (std::int64_t n = 0; n < kN; ++n) {
          error += std::pow(y.view().load(r * kN + n) - expected.view().load(r * kN + n), 2);
          size += std::pow(expected.view().load(r * kN + n), 2);
        }
        EXPECT_LT(std::sqrt(error / size), 1e-5) << r;
      }
    }
  }
}

}  // namespace
}  // namespace layercost

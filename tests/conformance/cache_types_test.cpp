// Every code of a cache in fp8_e4m3: what each variant of `attention` reads it as, and what each of `rope` writes for
// values beside the steps. Normal values, which the conformance cases have, meet neither NaN nor the ends.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/contract/registry.h"

namespace layercost {
namespace {

// By the definition, without the program's table.
double value_of(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(1 + mantissa / 8.0, exponent - 7);
  return code < 128 ? magnitude : -magnitude;
}

// Tensors of a case, by name, and bound.
std::pair<std::map<std::string, OwnedTensor>, OpTensors> zeros(const OpDef& op, const OpCase& c) {
  std::pair<std::map<std::string, OwnedTensor>, OpTensors> out;
  for (const TensorSpec& s : op.tensors(c)) {
    out.first[s.name] = OwnedTensor(s.dtype, s.shape);
    out.second.bind(s.name, out.first[s.name].view());
  }
  return out;
}

TEST(CacheTypes, AttentionReadsEveryCode) {
  const OpDef& op = find_op("attention");
  Runtime runtime(describe_cpu());
  int variants = 0;
  // One key is all that is seen, so that y is its value; the key's own codes only make a score.
  const OpCase c = OpCase::parse(
      "attention batch=1 q_len=1 kv_len=1 capacity=1 heads=2 kv_heads=1 qk_dim=64 v_dim=256 scale=0.1 x_type=bf16 "
      "kv_type=fp8_e4m3 y_type=f32");
  for (const Variant* v : op.variants()) {
    if (v->target != Target::cpu || !support(op, *v, c, runtime.device())) continue;
    SCOPED_TRACE(v->name);
    ++variants;
    auto [own, bound] = zeros(op, c);
    for (int i = 0; i < 128; ++i) own["q"].view().store(i, 0.5);
    for (int i = 0; i < 64; ++i) own["k_cache"].view().store(i, 0.25);
    auto* codes = own["v_cache"].view().as<std::uint8_t>();
    for (int i = 0; i < 256; ++i) codes[i] = static_cast<std::uint8_t>(i);
    v->prepare(c, bound, runtime)->run();
    for (int i = 0; i < 256; ++i) {
      const double y = own["y"].view().load(i);
      if (std::isnan(value_of(i))) EXPECT_TRUE(std::isnan(y)) << i << ": " << y;
      else EXPECT_EQ(y, value_of(i)) << i;
    }
  }
  EXPECT_GE(variants, 2);
}

TEST(CacheTypes, RopeWritesTheNearestCode) {
  const OpDef& op = find_op("rope");
  Runtime runtime(describe_cpu());
  const double cases[][2] = {{0, 0},
                             {1, 1},
                             {1.0625, 1},
                             {1.0626, 1.125},
                             {1.1875, 1.25},
                             {0.0009765, 0},
                             {0.000977, 0.001953125},
                             {0.0156, 0.015625},
                             {447, 448},
                             {1e6, 448},
                             {-3.3, -3.25},
                             {-1e-9, -0.0},
                             {464, 448},
                             {0.00293, 0.001953125 * 2}};
  const int dim = 32;
  const OpCase c = OpCase::parse(
      "rope batch=1 q_len=1 kv_len=1 capacity=1 heads=1 kv_heads=1 head_dim=32 x_type=f32 y_type=f32 "
      "kv_type=fp8_e4m3 w_type=f32");
  for (const Variant* v : op.variants()) {
    if (v->target != Target::cpu || !support(op, *v, c, runtime.device())) continue;
    SCOPED_TRACE(v->name);
    auto [own, bound] = zeros(op, c);
    for (int i = 0; i < dim / 2; ++i) own["cos"].view().store(i, 1.0), own["sin"].view().store(i, 0.0);
    int i = 0;
    for (const auto& [x, expected] : cases) own["qkv"].view().store(2 * dim + i++, x);
    own["qkv"].view().store(2 * dim + i, NAN);
    v->prepare(c, bound, runtime)->run();
    i = 0;
    for (const auto& [x, expected] : cases) EXPECT_EQ(own["v_cache"].view().load(i++), expected) << x;
    EXPECT_TRUE(std::isnan(own["v_cache"].view().load(i)));
  }
}

}  // namespace
}  // namespace layercost

// Every variant written with Highway, on every instruction set that this processor has and this build holds: what runs
// elsewhere is not left to the machine that happens to build. The features that other variants ask for are hidden, so
// that nothing is left to them.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/simd.h"  // first

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string_view>
#include <tuple>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"
#include "kernels/cpu/simd_coded_product.h"

namespace layercost {
namespace {

std::vector<std::int64_t> usable_targets() {
  std::vector<std::int64_t> out;
  for (std::int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1)
    out.push_back(left & -left);
  return out;
}

class SimdTargets : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { only(GetParam()); }
  void TearDown() override { only(0), simd_targets() = hwy::SupportedTargets() & HWY_TARGETS; }
  static void only(std::int64_t target) { hwy::SetSupportedTargetsForTest(target), simd_targets() = target; }
};

TEST_P(SimdTargets, EveryHighwayVariantIsRight) {
  ASSERT_EQ(simd_target(), hwy::TargetName(GetParam()));
  DeviceInfo cpu = describe_cpu();
  cpu.cpu = CpuFeatures{};
  Runtime runtime(cpu);
  int done = 0;
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants()) {
      if (!std::string_view(v->name).starts_with("highway_")) continue;
      for (const OpCase& c : op->test_cases()) {
        SCOPED_TRACE(c.text() + " [" + v->name + "]");
        if (!support(*op, *v, c, cpu)) continue;
        // What it can but should not do, as on the best of them (Conformance): here the small cases.
        if (!is_preferred(*op, *v, c, cpu) && op->work(c, {}).flops > 1e7) continue;
        ++done;
        for (const std::string& p : check_variant(*op, *v, c, runtime, 1).problems) ADD_FAILURE() << p;
      }
    }
  EXPECT_GT(done, 0);
}

template <class T>
void put(std::byte* to, T v) {
  std::memcpy(to, &v, sizeof v);
}

// Every code beside scales of all sizes: what synthetic weights do not have (int8's -128, e4m3's NaN and subnormals,
// zero points and minima of every value, e8m0's ends). Every second 64 codes and group of scales of e4m3 have exponents
// all of them, and take the shorter way.
std::unique_ptr<const CodedWeight> every_code(const WeightFormat& f, std::int64_t n, std::int64_t k) {
  auto w = std::make_unique<CodedWeight>(f, Shape{n, k});
  const auto bits = [&](std::int64_t row, std::int64_t i) { return static_cast<int>(row * 7 + i + i / 16); };
  for (std::int64_t row = 0; row < n; ++row)
    for (std::int64_t i = 0; i < f.row_bytes(k); ++i) {
      int code = bits(row, i) % 256;
      if (f.code_bits == 8 && std::isnan(f.table[code])) code = 1;
      const bool is_e4m3 = f.code_bits == 8 && f.table[128] != -128;
      if (is_e4m3 && i / 64 % 2 == 1 && (code & 0x78) == 0) code += 8;
      if (row == 5 && i == 200) code = 127;  // e4m3's NaN
      if (row == 66 && i == 15) code = 255;
      w->codes.data()[row * f.row_bytes(k) + i] = static_cast<std::byte>(code);
    }
  std::mt19937 random(7);
  const auto below = [&](unsigned n_values) { return static_cast<int>(random() % n_values); };
  const auto size = static_cast<std::int64_t>(w->scales.bytes());
  for (std::int64_t i = 0; i < size; i += f.scale_bytes) {
    std::byte* s = w->scales.data() + i;
    const float scale =
        std::ldexp(static_cast<float>(1025 + below(1000)), below(20) - 20) * (below(4) == 0 ? -1.0f : 1.0f);
    if (f.scale_bytes == 1) *s = static_cast<std::byte>(f.has_factor ? below(127) : below(251));
    if (f.scale_bytes == 1 && f.has_factor && i % 2 == 1) *s = static_cast<std::byte>(8 + below(119));
    if (f.scale_bytes == 2 || f.scale_bytes == 16) put(s, to_f16(std::ldexp(scale, -6)));
    if (f.scale_bytes == 4 || f.scale_bytes == 8) put(s, scale);
    if (f.scale_bytes == 8) put(s + 4, static_cast<float>(below(16) - 8));
    if (f.scale_bytes == 18) {
      put(s, to_f16(std::ldexp(scale, -6)));
      for (int b = 2; b < 18; ++b) s[b] = static_cast<std::byte>(below(256));
    }
    if (f.scale_bytes == 16) {
      put(s + 2, to_f16(std::abs(scale) / 64));
      for (int b = 4; b < 16; ++b) s[b] = static_cast<std::byte>(below(256));
    }
  }
  for (float& v : w->factors) v = 0.37f;
  return w;
}

// Rows of x with a single one pick single weights: exactly scale * value, in one rounding; in bf16 in two, of which the
// second is that of storing it (rows of bf16 with results in bf16 are multiplied in bytes or 16-bit numbers).
TEST_P(SimdTargets, CodedProductKnowsEveryCodeAndScale) {
  if (!has_simd()) GTEST_SKIP() << "no vectors";
  constexpr std::int64_t kN = 70, kK = 512;
  for (const WeightFormat& f : weight_formats()) {
    if (f.is_plain()) continue;
    const Weight weight(Shape{kN, kK}, every_code(f, kN, kK));
    const CodedWeight& coded = weight.coded();
    std::vector<float> values(kN * kK);
    std::vector<bool> has_nan(kN);
    for (std::int64_t n = 0; n < kN; ++n) {
      coded.decode(n, 0, kK, values.data() + n * kK);
      for (std::int64_t k = 0; k < kK; ++k) has_nan[n] = has_nan[n] || std::isnan(values[n * kK + k]);
    }
    for (const auto& [type, y_type, rows] :
         std::initializer_list<std::tuple<DType, DType, std::int64_t>>{{DType::f32, DType::f32, 1},
                                                                       {DType::f32, DType::f32, 2},
                                                                       {DType::f32, DType::f32, 16},
                                                                       {DType::bf16, DType::f32, 1},
                                                                       {DType::bf16, DType::f32, 2},
                                                                       {DType::bf16, DType::f32, 16},
                                                                       {DType::bf16, DType::bf16, 1},
                                                                       {DType::bf16, DType::bf16, 4},
                                                                       {DType::bf16, DType::bf16, 16},
                                                                       {DType::bf16, DType::bf16, 40}}) {
      SCOPED_TRACE(testing::Message() << f.name << ", " << rows << " rows of " << to_string(type));
      const OwnedTensor x(type, {rows, kK}), y(y_type, {rows, kN});
      const auto product = SimdCodedProduct::make(weight, type, y_type, rows, 1);
      int wrong = 0;
      for (std::int64_t first = 0; first < kK; first += rows) {
        for (std::int64_t i = 0; i < rows * kK; ++i) x.view().store(i, i % kK == first + i / kK ? 1 : 0);
        const CodedGroup all{0, rows, 0};
        product->run({&all, 1}, {x.view().data, nullptr, nullptr, y.view().data});
        for (std::int64_t r = 0; r < rows && first + r < kK; ++r)
          for (std::int64_t n = 0; n < kN; ++n) {
            const float got = static_cast<float>(y.view().load(r * kN + n)), want = values[n * kK + first + r];
            const Affine a = coded.affine(n, first + r);
            // A difference of two products has a rounding of each.
            const float most =
                (y_type == DType::bf16 ? 0.00391f * std::abs(want) : 0) +
                (a.zero == 0 && a.offset == 0 ? 0 : 1e-6f * (16 * std::abs(a.scale) + std::abs(a.offset)));
            if (has_nan[n] ? std::isnan(got) : std::abs(got - want) <= most) continue;
            if (++wrong <= 3) ADD_FAILURE() << "column " << n << ", k " << first + r << ": " << got << ", not " << want;
          }
      }
      EXPECT_EQ(wrong, 0);
    }
  }
}

// What is no number makes its own row's products so, whichever way they are made.
TEST_P(SimdTargets, CodedProductKeepsWhatIsNoNumber) {
  if (!has_simd()) GTEST_SKIP() << "no vectors";
  constexpr std::int64_t kN = 64, kK = 64;
  const Weight weight(Shape{kN, kK}, every_code(weight_format("q4_0"), kN, kK));
  for (const std::int64_t rows : {2, 16})
    for (const DType type : {DType::f32, DType::bf16})
      for (const double value : {std::nan(""), HUGE_VAL}) {
        const OwnedTensor x(type, {rows, kK}), y(type, {rows, kN});
        for (std::int64_t i = 0; i < rows * kK; ++i) x.view().store(i, i == 37 ? value : 1);
        const auto product = SimdCodedProduct::make(weight, type, type, rows, 1);
        const CodedGroup all{0, rows, 0};
        product->run({&all, 1}, {x.view().data, nullptr, nullptr, y.view().data});
        for (std::int64_t i = 0; i < rows * kN; ++i)
          EXPECT_EQ(std::isfinite(y.view().load(i)), i >= kN)
              << rows << " rows of " << to_string(type) << " " << value << " " << i;
      }
}

INSTANTIATE_TEST_SUITE_P(Highway, SimdTargets, testing::ValuesIn(usable_targets()),
                         [](const auto& param) { return std::string(hwy::TargetName(param.param)); });

}  // namespace
}  // namespace layercost

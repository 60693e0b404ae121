// Kernels that are wrong on purpose, one kind of mistake each: the checker must refuse every one, and pass the right
// one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

namespace layercost {
namespace {

// The right answer from a known good variant, then `spoil`. The hook sees the bound tensors and the number of the call.
using Spoil = void (*)(const OpTensors&, int call);
Spoil current_spoil = nullptr;
const Variant* current_good = nullptr;

std::unique_ptr<Invocation> prepare_spoiled(const OpCase& c, const OpTensors& t, Runtime& r) {
  std::shared_ptr<Invocation> good = current_good->prepare(c, t, r);
  return invocation([good, t, spoil = current_spoil, call = 0]() mutable {
    good->run();
    spoil(t, ++call);
  });
}

CheckResult check_spoiled(const char* op_name, const char* case_text, Spoil spoil) {
  const OpDef& op = find_op(op_name);
  current_spoil = spoil;
  current_good = &find_variant(op, "plain_loops");
  const Variant spoiled{.name = "spoiled",
                        .target = Target::cpu,
                        .provider = "test",
                        .knows = current_good->knows,
                        .make = prepare_spoiled};
  Runtime runtime(describe_cpu());
  return check_variant(op, spoiled, OpCase::parse(case_text), runtime);
}

constexpr const char* kLinear = "linear m=16 n=512 k=256 x_type=bf16 w_type=bf16 y_type=bf16";
constexpr const char* kTall = "linear m=4096 n=32 k=64 x_type=bf16 w_type=bf16 y_type=bf16";
constexpr const char* kNorm = "rms_norm tokens=8 hidden=512 eps=1e-06 x_type=f32 w_type=f32 y_type=f32";

void expect_refused(const CheckResult& r, const char* word) {
  ASSERT_FALSE(r.ok) << "the checker let it pass";
  bool named = false;
  for (const std::string& p : r.problems) named |= p.find(word) != std::string::npos;
  EXPECT_TRUE(named) << "expected '" << word << "' in: " << r.problems.front();
}

TEST(Checker, PassesTheRightKernel) {
  for (const char* text : {kLinear, kTall}) EXPECT_TRUE(check_spoiled("linear", text, [](const OpTensors&, int) {}).ok);
  EXPECT_TRUE(check_spoiled("rms_norm", kNorm, [](const OpTensors&, int) {}).ok);
}

TEST(Checker, RefusesAScaleOf1001) {
  const Spoil scale = [](const OpTensors& t, int) {
    const Tensor& y = t.tensor("y");
    for (std::int64_t i = 0; i < y.elements(); ++i) y.store(i, y.load(i) * 1.001);
  };
  expect_refused(check_spoiled("rms_norm", kNorm, scale), "");
}

TEST(Checker, RefusesAScaleOf1001ThatBf16RoundingHides) {
  // Scaled before the one rounding to bf16, as a wrong constant in a kernel would: recomputed in f32 here.
  const Spoil scale = [](const OpTensors& t, int) {
    const Tensor &x = t.tensor("x"), &y = t.tensor("y");
    const OwnedTensor w = t.weight("w")->whole();
    const std::int64_t m = y.dim(0), n = y.dim(1), k = x.dim(1);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t l = 0; l < k; ++l) sum += x.load(i * k + l) * w.view().load(j * k + l);
        y.store(i * n + j, sum * 1.001);
      }
  };
  const CheckResult r = check_spoiled("linear", kLinear, scale);
  expect_refused(r, "common factor");
}

TEST(Checker, RefusesAnUnwrittenLastElement) {
  expect_refused(check_spoiled("linear", kLinear,
                               [](const OpTensors& t, int) {
                                 const Tensor& y = t.tensor("y");
                                 const OwnedTensor p(y.dtype, {1});
                                 poison(p.view());
                                 std::memcpy(y.as<bf16>() + y.elements() - 1, p.view().data, 2);
                               }),
                 "never written");
}

TEST(Checker, RefusesOneWordPastTheEnd) {
  expect_refused(check_spoiled("rms_norm", kNorm,
                               [](const OpTensors& t, int) {
                                 const Tensor& y = t.tensor("y");
                                 y.as<float>()[y.elements()] = 0.0f;
                               }),
                 "past its end");
}

TEST(Checker, RefusesOneWordBeforeTheStart) {
  expect_refused(
      check_spoiled("rms_norm", kNorm, [](const OpTensors& t, int) { t.tensor("y").as<float>()[-1] = 0.0f; }),
      "before its start");
}

TEST(Checker, RefusesOneZeroRowIn4096) {
  expect_refused(check_spoiled("linear", kTall,
                               [](const OpTensors& t, int) {
                                 const Tensor& y = t.tensor("y");
                                 std::fill_n(y.as<bf16>() + 1234 * 32, 32, bf16{});
                               }),
                 "row 1234");
}

TEST(Checker, RefusesNaN) {
  expect_refused(
      check_spoiled("linear", kLinear, [](const OpTensors& t, int) { t.tensor("y").store(77, std::nan("")); }), "NaN");
}

TEST(Checker, RefusesAChangedInput) {
  expect_refused(check_spoiled("linear", kLinear, [](const OpTensors& t, int) { t.tensor("x").store(5, 3.0); }),
                 "an input was changed");
}

TEST(Checker, RefusesTheStaleOutputOfAnEarlierRun) {
  expect_refused(check_spoiled("linear", kLinear,
                               [](const OpTensors& t, int call) {
                                 static std::vector<char> first;
                                 const Tensor& y = t.tensor("y");
                                 if (call == 1) first.assign(y.as<char>(), y.as<char>() + y.bytes());
                                 std::memcpy(y.data, first.data(), first.size());
                               }),
                 "relative");
}

TEST(Checker, RefusesSwappedOutputs) {
  expect_refused(check_spoiled("linear", kLinear,
                               [](const OpTensors& t, int) {
                                 const Tensor& y = t.tensor("y");
                                 const double a = y.load(0), b = y.load(1);
                                 y.store(0, b);
                                 y.store(1, a);
                                 for (std::int64_t i = 0; i < 512; ++i) y.store(512 * 3 + i, y.load(512 * 4 + i));
                               }),
                 "");
}

}  // namespace
}  // namespace layercost

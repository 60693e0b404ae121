// Every op x variant x test case x seeds. A variant that refuses a case says why; every case needs one that accepts.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

namespace layercost {
namespace {

struct Param {
  const OpDef* op;
  const Variant* variant;
};
void PrintTo(const Param& p, std::ostream* to) { *to << p.op->name << " " << p.variant->name; }

std::vector<Param> all_variants() {
  std::vector<Param> out;
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants()) out.push_back({op, v});
  return out;
}

// The first device of the kind that can be used.
std::optional<DeviceInfo> device_for(Target target) {
  for (const DeviceListing& l : list_devices())
    if (l.info.target == target && l.why_not.empty()) return l.info;
  return std::nullopt;
}

class Conformance : public testing::TestWithParam<Param> {};

TEST_P(Conformance, EveryCaseIsRightOrRefusedWithAReason) {
  const auto [op, variant] = GetParam();
  const std::optional<DeviceInfo> device = device_for(variant->target);
  if (!device) GTEST_SKIP() << "no usable " << to_string(variant->target) << " device here";
  Runtime runtime(*device);
  int done = 0;
  for (const OpCase& c : op->test_cases()) {
    SCOPED_TRACE(c.text());
    EXPECT_EQ(OpCase::parse(c.text()), c);
    const Support s = support(*op, *variant, c, runtime.device());
    if (!s) {
      EXPECT_FALSE(s.why.empty());
      continue;
    }
    ++done;
    const CheckResult r = check_every_shape(*op, *variant, c, runtime);
    for (const std::string& p : r.problems) ADD_FAILURE() << p;
    const Work w = op->work(c, {});
    EXPECT_GE(w.flops, 0);
    EXPECT_GT(w.activation_bytes, 0);
  }
  if (done == 0) GTEST_SKIP() << op->name << " " << variant->name << " refuses every case on this machine";
}

TEST(Registry, EveryCaseHasAVariantOnTheCpu) {
  const DeviceInfo cpu = describe_cpu();
  for (const OpDef* op : all_ops()) {
    EXPECT_FALSE(op->test_cases().empty()) << op->name;
    for (const OpCase& c : op->test_cases()) EXPECT_NO_THROW(default_variant(*op, c, cpu)) << c.text();
  }
}

// A machine without AVX-512 and bf16 instructions must still find a way.
TEST(Registry, EveryCaseHasAVariantOnAPlainCpu) {
  DeviceInfo cpu = describe_cpu();
  cpu.cpu = CpuFeatures{};
  for (const OpDef* op : all_ops())
    for (const OpCase& c : op->test_cases()) EXPECT_NO_THROW(default_variant(*op, c, cpu)) << c.text();
}

INSTANTIATE_TEST_SUITE_P(Registry, Conformance, testing::ValuesIn(all_variants()), [](const auto& param) {
  return std::string(param.param.op->name) + "_" + param.param.variant->name;
});

}  // namespace
}  // namespace layercost

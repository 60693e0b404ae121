// Every op x variant x test case x seeds. A variant that refuses a case says why; every case needs one that accepts.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cctype>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

namespace layercost {
namespace {

struct Param {
  const OpDef* op;
  const Variant* variant;
  OpCase op_case;
};
void PrintTo(const Param& p, std::ostream* to) { *to << p.variant->name << " on '" << p.op_case.text() << "'"; }

std::vector<Param> all_cases(Target target) {
  std::vector<Param> out;
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants())
      for (const OpCase& c : op->test_cases())
        if (v->target == target) out.push_back({op, v, c});
  return out;
}

// "linear_plain_loops__m_3_n_37_k_90_x_type_f32_...": op, variant and the text of the case, in the letters that a name
// may have.
std::string name_of(const testing::TestParamInfo<Param>& info) {
  const auto& [op, variant, c] = info.param;
  std::string name = std::string(op->name) + "_" + variant->name + "__" + c.text().substr(c.op().size() + 1);
  for (char& letter : name)
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  return name;
}

// The first device of the kind that can be used.
std::optional<DeviceInfo> device_for(Target target) {
  for (const DeviceListing& l : list_devices())
    if (l.info.target == target && l.why_not.empty()) return l.info;
  return std::nullopt;
}

class Conformance : public testing::TestWithParam<Param> {};

TEST_P(Conformance, IsRightOrRefusedWithAReason) {
  const auto& [op, variant, c] = GetParam();
  const std::optional<DeviceInfo> device = device_for(variant->target);
  if (!device) GTEST_SKIP() << "no usable " << to_string(variant->target) << " device here";
  Runtime runtime(*device);
  EXPECT_EQ(OpCase::parse(c.text()), c);
  const Support s = support(*op, *variant, c, runtime.device());
  if (!s) {
    EXPECT_FALSE(s.why.empty());
    return;
  }
  const CheckResult r = check_every_shape(*op, *variant, c, runtime);
  for (const std::string& p : r.problems) ADD_FAILURE() << p;
  const Work w = op->work(c, {});
  EXPECT_GE(w.flops, 0);
  EXPECT_GT(w.activation_bytes, 0);
}

TEST(Registry, NoPlainVariantRefusesACase) {
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants()) {
      if (!v->plain || v->target != Target::cpu) continue;
      for (const OpCase& c : op->test_cases()) EXPECT_TRUE(support(*op, *v, c, describe_cpu())) << c.text();
    }
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

INSTANTIATE_TEST_SUITE_P(Cpu, Conformance, testing::ValuesIn(all_cases(Target::cpu)), name_of);
INSTANTIATE_TEST_SUITE_P(Cuda, Conformance, testing::ValuesIn(all_cases(Target::cuda)), name_of);

}  // namespace
}  // namespace layercost

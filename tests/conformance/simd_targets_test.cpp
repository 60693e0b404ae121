// Every variant written with Highway, on every instruction set that this processor has and this build holds: what runs
// elsewhere is not left to the machine that happens to build. The features that other variants ask for are hidden, so
// that nothing is left to them.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/simd.h"  // first

#include <gtest/gtest.h>

#include <string_view>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

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
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
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

INSTANTIATE_TEST_SUITE_P(Highway, SimdTargets, testing::ValuesIn(usable_targets()),
                         [](const auto& param) { return std::string(hwy::TargetName(param.param)); });

}  // namespace
}  // namespace layercost

// Every CUDA variant x test case x orders of blocks and threads, on the executor. Built with the address sanitizer, and
// with ThreadSanitizer (LAYERCOST_SIMT_RACES), which sees a race whatever the values are.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

namespace layercost::simt {
void set_order(unsigned order);
}

namespace layercost {
namespace {

struct Param {
  const OpDef* op;
  const Variant* variant;
};
void PrintTo(const Param& p, std::ostream* to) { *to << p.op->name << " " << p.variant->name; }

std::vector<Param> cuda_variants() {
  std::vector<Param> out;
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants())
      if (v->target == Target::cuda) out.push_back({op, v});
  return out;
}

#if defined(LAYERCOST_SIMT_RACES)
constexpr unsigned kOrders[] = {2};  // what is ordered does not depend on who runs first
constexpr int kSeedsOfFirst = 1;
#else
constexpr unsigned kOrders[] = {0, 1, 2};
constexpr int kSeedsOfFirst = 2;  // one alone would not show what an earlier run left behind
#endif
constexpr unsigned kOrderOfTheRest = 2;
// Larger cases run in that order, too: they are there for their shapes, and took most of the time.
constexpr double kMostFlopsOfEveryOrder = 2e7;
// OpenMP is not instrumented: what its threads do in order would look like races.
constexpr int kHostThreads = 1;

class Simt : public testing::TestWithParam<Param> {};

TEST_P(Simt, EveryCaseIsRightInEveryOrder) {
  const auto [op, variant] = GetParam();
  Runtime runtime(find_device("cuda:0", kHostThreads));
  int done = 0;
  for (const OpCase& c : op->test_cases()) {
    SCOPED_TRACE(c.text());
    const Support s = support(*op, *variant, c, runtime.device());
    if (!s) {
      EXPECT_FALSE(s.why.empty());
      continue;
    }
    // What it can but should not do is no default of anything: small cases, once.
    const bool preferred = is_preferred(*op, *variant, c, runtime.device());
    // Some cases are there for the CPU's many-row kernels; the executor does 50 to 100 MFLOP/s.
    const double flops = op->work(c, {}).flops;
    if (flops > (preferred ? 4e8 : 1e7)) continue;
    const bool every_order = preferred && flops <= kMostFlopsOfEveryOrder;
    for (unsigned order : kOrders) {
      if (!every_order && order != kOrderOfTheRest) continue;
      simt::set_order(order);
      const int seeds = preferred && (order == 0 || !every_order) ? kSeedsOfFirst : 1;
      const CheckResult r = check_variant(*op, *variant, c, runtime, seeds);
      for (const std::string& p : r.problems) ADD_FAILURE() << "order " << order << ": " << p;
    }
    simt::set_order(0);
    ++done;
  }
  if (done == 0 && std::string_view(variant->provider) == "layercost") ADD_FAILURE() << "refuses every case";
}

// The product of a case that any device gives to its smallest shape, by all that there are: 64, 128 and 128 x 256.
std::set<std::string> shapes_seen;
std::unique_ptr<Invocation> prepare_and_note(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  auto call = find_variant(find_op("linear"), "cuda_tiles").prepare(c, t, runtime);
  shapes_seen.insert(call->chosen());
  return call;
}
TEST(TileShapes, AllAreCheckedWhateverADeviceChooses) {
  const Variant& tiles = find_variant(find_op("linear"), "cuda_tiles");
  const Variant noting{.name = "noting",
                       .target = Target::cuda,
                       .provider = "test",
                       .knows = tiles.knows,
                       .supports = tiles.supports,
                       .make = prepare_and_note};
  Runtime runtime(find_device("cuda:0", kHostThreads));
  const OpCase c = OpCase::parse("linear m=70 n=40 k=72 x_type=bf16 w_type=bf16 y_type=bf16");
  const CheckResult r = check_every_shape(find_op("linear"), noting, c, runtime, 1);
  EXPECT_TRUE(r.ok);
  EXPECT_EQ(shapes_seen, (std::set<std::string>{"tiles 64x64x64, 3 stages", "tiles 64x128x64, 3 stages",
                                                "tiles 128x128x64, 3 stages", "tiles 128x256x64, 4 stages"}));
  shapes_seen.clear();
  noting.prepare(c, GuardedCase(find_op("linear"), c, 1, runtime).tensors(), runtime);
  EXPECT_EQ(shapes_seen.size(), 1u) << "still forced";
}

INSTANTIATE_TEST_SUITE_P(All, Simt, testing::ValuesIn(cuda_variants()), [](const auto& param) {
  return std::string(param.param.op->name) + "_" + param.param.variant->name;
});

}  // namespace
}  // namespace layercost

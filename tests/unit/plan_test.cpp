// What:    floor plan: routing against closed forms and pinned bytes, work of a layer against numbers worked by hand,
//          heights of stacks.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>

#include "harness/plan/counts.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

using Kind = RoutingSpec::Kind;

const std::filesystem::path kConfigs = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs";

std::vector<std::int32_t> draw(const RoutingGenerator& g, std::uint64_t number, std::int64_t tokens,
                               std::int64_t top_k) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens * top_k), -1);
  g.draw(number, tokens, ids.data());
  return ids;
}

TEST(Routing, ExpectedDistinctUniform) {
  struct Row {
    std::int64_t experts, top_k, tokens;
    double distinct;  // E (1 - (1 - k/E)^T), to the digits shown
  };
  for (const Row& r : {Row{256, 8, 16, 101.96}, Row{256, 8, 64, 222.44}, Row{256, 8, 256, 255.92},
                       Row{128, 8, 16, 82.42}, Row{128, 4, 64, 111.22}, Row{64, 8, 16, 56.44}})
    EXPECT_NEAR(expected_distinct_experts({Kind::uniform}, r.experts, r.top_k, r.tokens), r.distinct, 0.005)
        << r.experts << "/" << r.top_k << " T=" << r.tokens;
  EXPECT_NEAR(expected_distinct_experts({Kind::uniform}, 8, 2, 4), 5.469, 0.0005);
  EXPECT_DOUBLE_EQ(expected_distinct_experts({Kind::uniform}, 128, 8, 1), 8.0);
}

TEST(Routing, ExpectedDistinctOfOtherKinds) {
  // Simulated with Gumbel top-k, 256 experts, 8 each: 153 at 64 tokens, 238 at 256.
  EXPECT_NEAR(expected_distinct_experts({Kind::zipf, 1}, 256, 8, 64), 153, 0.02 * 153);
  EXPECT_NEAR(expected_distinct_experts({Kind::zipf, 1}, 256, 8, 256), 238, 0.02 * 238);
  EXPECT_DOUBLE_EQ(expected_distinct_experts({Kind::balanced}, 256, 8, 16), 128);
  EXPECT_DOUBLE_EQ(expected_distinct_experts({Kind::balanced}, 256, 8, 64), 256);
  EXPECT_DOUBLE_EQ(expected_distinct_experts({Kind::zipf, 1}, 8, 8, 1), 8);
  EXPECT_NEAR(expected_distinct_experts({Kind::zipf, 0}, 256, 8, 16), 101.96, 1.02);  // s = 0 is uniform
}

TEST(Routing, DrawsMeetTheExpectation) {
  struct Row {
    RoutingSpec spec;
    std::int64_t experts, top_k, tokens;
  };
  for (const Row& r :
       {Row{{Kind::uniform}, 256, 8, 16}, Row{{Kind::uniform}, 128, 8, 4}, Row{{Kind::uniform}, 8, 2, 4},
        Row{{Kind::zipf, 1}, 256, 8, 64}, Row{{Kind::zipf, 0.5}, 256, 8, 64}, Row{{Kind::zipf, 1}, 64, 4, 8}}) {
    const RoutingGenerator g(r.spec, 1, r.experts, r.top_k);
    RoutingTally tally(r.experts, r.top_k);
    for (std::uint64_t i = 0; i < 2000; ++i) tally.add(draw(g, i, r.tokens, r.top_k).data(), r.tokens);
    const double expected = expected_distinct_experts(r.spec, r.experts, r.top_k, r.tokens);
    EXPECT_NEAR(tally.mean_distinct() / expected, 1, 0.015) << r.spec.name() << " " << r.experts << "/" << r.top_k;
    EXPECT_EQ(tally.draws(), 2000);
    EXPECT_EQ(std::accumulate(tally.histogram().begin(), tally.histogram().end(), std::int64_t{0}),
              2000 * r.tokens * r.top_k);
  }
}

// With two choices the inclusion probability has a closed form: first, or second after each other one.
TEST(Routing, SkewedDrawsMeetTheExactProbabilities) {
  constexpr std::int64_t kExperts = 16, kTokens = 40'000;
  std::vector<double> w;
  for (int rank = 1; rank <= kExperts; ++rank) w.push_back(std::pow(rank, -1.5));
  const double all = std::accumulate(w.begin(), w.end(), 0.0);
  RoutingTally tally(kExperts, 2);
  tally.add(draw(RoutingGenerator({Kind::zipf, 1.5}, 9, kExperts, 2), 0, kTokens, 2).data(), kTokens);
  std::vector<std::int64_t> load = tally.histogram();
  std::sort(load.rbegin(), load.rend());
  for (std::size_t e = 0; e < w.size(); ++e) {
    double inclusion = w[e] / all;
    for (std::size_t first = 0; first < w.size(); ++first)
      if (first != e) inclusion += w[first] / all * w[e] / (all - w[first]);
    const double mean = inclusion * kTokens, sigma = std::sqrt(mean * (1 - inclusion));
    EXPECT_NEAR(static_cast<double>(load[e]), mean, 5 * sigma) << "rank " << e + 1;
  }
}

TEST(Routing, UniformPrefersNobody) {
  const RoutingGenerator g({Kind::uniform}, 3, 16, 4);
  RoutingTally tally(16, 4);
  for (std::uint64_t i = 0; i < 1000; ++i) tally.add(draw(g, i, 16, 4).data(), 16);
  for (const std::int64_t n : tally.histogram()) EXPECT_NEAR(static_cast<double>(n), 4000, 5 * std::sqrt(4000.0));
}

TEST(Routing, IdsOfATokenAreDistinctAndInRange) {
  for (const RoutingSpec& spec :
       {RoutingSpec{Kind::uniform}, RoutingSpec{Kind::zipf, 3}, RoutingSpec{Kind::balanced}}) {
    const RoutingGenerator g(spec, 5, 8, 6);
    for (std::uint64_t i = 0; i < 50; ++i) {
      const auto ids = draw(g, i, 7, 6);
      for (std::int64_t t = 0; t < 7; ++t) {
        const std::set<std::int32_t> own(ids.begin() + t * 6, ids.begin() + (t + 1) * 6);
        EXPECT_EQ(own.size(), 6u) << spec.name();
        EXPECT_GE(*own.begin(), 0);
        EXPECT_LT(*own.rbegin(), 8);
      }
    }
  }
}

TEST(Routing, BalancedIsExact) {
  const RoutingGenerator g({Kind::balanced}, 1, 32, 4);
  for (const std::int64_t tokens : {1, 5, 8, 19}) {
    std::vector<int> load(32);
    for (const std::int32_t id : draw(g, 0, tokens, 4)) ++load[static_cast<std::size_t>(id)];
    const auto [least, most] = std::minmax_element(load.begin(), load.end());
    EXPECT_LE(*most - *least, 1) << tokens;
    EXPECT_EQ(static_cast<std::int64_t>(std::count_if(load.begin(), load.end(), [](int n) { return n > 0; })),
              std::min<std::int64_t>(32, tokens * 4));
  }
}

// The bytes are the same everywhere and for ever: two results with the same seed have routed the same tokens. A change
// here makes old and new results of mixture-of-experts models incomparable.
TEST(Routing, BytesArePinned) {
  const auto hash = [](const RoutingSpec& spec, std::uint64_t seed) {
    const RoutingGenerator g(spec, seed, 128, 8);
    RoutingTally tally(128, 8);
    for (std::uint64_t i = 0; i < 4; ++i) tally.add(draw(g, i, 32, 8).data(), 32);
    return tally.hash();
  };
  EXPECT_EQ(hash({Kind::uniform}, 1), "c7513fa55617a122");
  EXPECT_EQ(hash({Kind::zipf, 1}, 1), "93e2ecd85a155d6a");
  EXPECT_EQ(hash({Kind::balanced}, 1), "586f408bf0fa4eed");
  EXPECT_NE(hash({Kind::uniform}, 1), hash({Kind::uniform}, 2));
  const RoutingGenerator g({Kind::uniform}, 1, 128, 8);
  EXPECT_NE(draw(g, 0, 32, 8), draw(g, 1, 32, 8));
}

TEST(Routing, ParseAndName) {
  for (const char* text : {"router", "balanced", "uniform", "zipf:1", "zipf:0.5"})
    EXPECT_EQ(RoutingSpec::parse(text).name(), text);
  for (const char* text :
       {"", "zipf", "zipf:", "zipf:x", "zipf:-1", "zipf:9", "zipf:nan", "zipf:1 ", "Uniform", "trace"})
    EXPECT_THROW(RoutingSpec::parse(text), BadInput) << text;
  EXPECT_THROW(RoutingGenerator({Kind::uniform}, 1, 8, 9), BadCase);
}

StepShape decode(std::int64_t batch, std::int64_t cached) {
  Scenario s;
  s.batch = batch;
  s.context = cached;
  return step_shape(s, false);
}

Work total(const LayerPlan& plan, const WorkFacts& facts = {}) {
  Work sum;
  for (const PlannedOp& p : plan.ops) {
    const Work w = find_op(p.op_case.op()).work(p.op_case, facts);
    sum.flops += w.flops;
    sum.weight_bytes += w.weight_bytes;
    sum.kv_read_bytes += w.kv_read_bytes;
    sum.kv_write_bytes += w.kv_write_bytes;
  }
  return sum;
}

TEST(LayerWork, DenseByHand) {
  const ModelSpec m = find_model("qwen3-4b", kConfigs);
  const LayerPlan plan = plan_layer(m, m.kinds.front(), decode(1, 1023));
  // hidden 2560, 32 query and 8 key heads of 128, MLP 9728.
  const double matrices = 2560.0 * (4096 + 2 * 1024) + 4096.0 * 2560 + 2 * 9728.0 * 2560 + 9728.0 * 2560;
  const double attention = 4.0 * 32 * 128 * 1024;
  // norm 4 per element, norm with residual 5, q/k norm and rotation 7, silu and product 5, residual of down 1.
  const double small = 4 * 2560 + 5 * 2560 + 7 * (4096 + 1024) + 5 * 9728 + 2560;
  const Work w = total(plan);
  EXPECT_DOUBLE_EQ(w.flops, 2 * matrices + attention + small);
  EXPECT_DOUBLE_EQ(w.flops, 218738176);
  EXPECT_DOUBLE_EQ(w.weight_bytes, 2 * (matrices + 2 * 2560 + 2 * 128));
  EXPECT_DOUBLE_EQ(w.weight_bytes, plan.weight_bytes());
  EXPECT_DOUBLE_EQ(w.kv_read_bytes, 2.0 * 2 * 8 * 128 * 1024);
  EXPECT_DOUBLE_EQ(w.kv_read_bytes, plan.cache_bytes());
  EXPECT_DOUBLE_EQ(w.kv_write_bytes, 2.0 * 2 * 8 * 128);
  EXPECT_DOUBLE_EQ(plan.touched_bytes({}), w.weight_bytes + w.kv_read_bytes);
  EXPECT_EQ(plan.count, 36);
}

TEST(LayerWork, PrefillCountsTheLowerTriangle) {
  const ModelSpec m = find_model("qwen3-4b", kConfigs);
  Scenario s;
  s.phase = Phase::prefill;
  s.context = 100;
  for (const PlannedOp& p : plan_layer(m, m.kinds.front(), step_shape(s, false)).ops)
    if (p.op_case.op() == "attention") {
      EXPECT_DOUBLE_EQ(find_op("attention").work(p.op_case, {}).flops, 4.0 * 32 * 128 * (100 * 101 / 2));
    }
}

TEST(LayerWork, OnlyTouchedExpertsCount) {
  const ModelSpec m = find_model("qwen3-30b-a3b", kConfigs);
  const LayerPlan plan = plan_layer(m, m.kinds.front(), decode(4, 1023));
  // hidden 2048, 32 query and 4 key heads of 128, 128 experts of 768, 8 per token.
  const double shared = 2048.0 * (4096 + 2 * 512) + 4096.0 * 2048 + 128.0 * 2048 + 2 * 2048 + 2 * 128,
               expert = 3 * 768.0 * 2048;
  EXPECT_DOUBLE_EQ(total(plan, {.distinct_experts = 28.5}).weight_bytes, 2 * (shared + 28.5 * expert));
  EXPECT_DOUBLE_EQ(total(plan).weight_bytes, 2 * (shared + 32 * expert));  // unknown: at most tokens * top_k
  EXPECT_DOUBLE_EQ(plan.weight_bytes(), 2 * (shared + 128 * expert));
  // FLOPs do not depend on how many are distinct: every token has its eight.
  EXPECT_DOUBLE_EQ(total(plan, {.distinct_experts = 8}).flops, total(plan, {.distinct_experts = 32}).flops);
}

TEST(StackSize, LeastHeightThatKeepsWeightsOutOfCache) {
  const ModelSpec m = find_model("qwen3-0.6b", kConfigs);
  const LayerPlan plan = plan_layer(m, m.kinds.front(), decode(1, 1023));
  const double touched = plan.touched_bytes({}), plenty = 1e12;
  for (const double cache : {1e6, 32e6, 300e6, 2e9}) {
    const StackSize s = stack_size(plan, {}, cache, plenty, false);
    EXPECT_TRUE(s.cold) << cache;
    EXPECT_GE(s.layers, 2);
    EXPECT_GE(static_cast<double>(s.layers - 1) * touched, 2 * cache);
    if (s.layers > 2) {
      EXPECT_LT(static_cast<double>(s.layers - 2) * touched, 2 * cache);
    }
    EXPECT_DOUBLE_EQ(s.reuse_distance_bytes, static_cast<double>(s.layers - 1) * touched);
    EXPECT_GE(s.need_bytes, static_cast<double>(s.layers) * (plan.weight_bytes() + plan.cache_bytes()));
  }
}

TEST(StackSize, MemoryLimitsItAndItSaysSo) {
  const ModelSpec m = find_model("qwen3-0.6b", kConfigs);
  const LayerPlan plan = plan_layer(m, m.kinds.front(), decode(1, 1023));
  const double held = plan.weight_bytes() + plan.cache_bytes(), cache = 300e6;
  const std::int64_t wanted = stack_size(plan, {}, cache, 1e12, false).layers;
  ASSERT_GT(wanted, 4);
  const StackSize less = stack_size(plan, {}, cache, 4.9 * held, false);
  EXPECT_LT(less.layers, wanted);
  EXPECT_GE(less.layers, 3);
  EXPECT_LE(less.need_bytes, 4.9 * held);
  EXPECT_FALSE(less.cold);
  EXPECT_GT(stack_size(plan, {}, cache, 0.5 * held, false).need_bytes, 0.5 * held);  // not even one: the caller sees it
}

TEST(StackSize, CountsCodesThatStayBesideWhatIsPackedFromThem) {
  const ModelSpec m = find_model("minimax-m2.5", kConfigs);  // fp8_block128: a layer of 3.7 GB
  StepShape step = decode(1, 1023);
  const auto need = [&](const WeightFormat& format, bool keeps_codes) {
    step.weights = WeightTypes::of(format, DType::bf16);
    const LayerPlan plan = plan_layer(m, m.kinds.front(), step);
    return stack_size(plan, {}, 32e6, 1e12, keeps_codes).need_bytes;
  };
  const WeightFormat &coded = weight_format("fp8_block128"), &plain = weight_format(DType::bf16);
  EXPECT_GT(need(coded, true), need(coded, false) + 2 * 3.6e9);  // two layers
  EXPECT_EQ(need(plain, true), need(plain, false));
}

TEST(MemoryNeed, LargestBatchIsTheLargest) {
  const ModelSpec m = find_model("qwen3-4b", kConfigs);
  Scenario s;
  s.context = 4096;
  const auto total_at = [&](std::int64_t batch) {
    s.batch = batch;
    const MemoryNeed n = memory_need(m, s, 24e9);
    return n.weight_bytes + n.kv_bytes + n.activation_bytes;
  };
  s.batch = 1;
  const auto largest = memory_need(m, s, 24e9).largest_batch;
  ASSERT_TRUE(largest);
  EXPECT_LE(total_at(*largest), 24e9);
  EXPECT_GT(total_at(*largest + 1), 24e9);
  EXPECT_FALSE(memory_need(m, s, 1e9).largest_batch);
}

}  // namespace
}  // namespace layercost

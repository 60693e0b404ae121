// Every published result that is expressed, held against a projection of the same steps.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "harness/cost/published.h"
#include "harness/measure/op_records.h"
#include "harness/plan/published_steps.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;
using testing::TempDir;
using Json = nlohmann::json;

PublishedFinding held(const PublishedResult& r) {
  const HardwareSpec hardware = find_hardware(r.hardware, kConfigs);
  const PublishedSteps steps = published_steps(r, kConfigs);
  std::vector<TimedStep> timed;
  for (const PublishedSteps::Step& step : steps.steps)
    timed.push_back({project(step_work(steps.model, step.scenario), hardware, 1, nullptr), step.times});
  return hold_against(r, timed, steps.tokens_of_sequence);
}

const PublishedResult& result(const std::vector<PublishedSource>& all, const std::string& source,
                              const std::string& id) {
  for (const PublishedSource& s : all)
    for (const PublishedResult& r : s.results)
      if (s.id == source && r.id == id) return r;
  throw std::runtime_error("no published result " + source + " " + id);
}

TEST(Published, NothingIsFasterThanItsNominalBound) {
  int expressed = 0, others = 0;
  for (const PublishedSource& source : list_published(kConfigs))
    for (const PublishedResult& r : source.results) {
      if (!r.why_not.empty()) {
        ++others;
        continue;
      }
      SCOPED_TRACE(source.id + " " + r.id);
      const PublishedFinding f = held(r);
      ASSERT_TRUE(f.hard_bound && f.possible);
      EXPECT_GE(f.hard_bound->ratio, 1);  // by nature: tokens/s published <= bound, USD published >= bound
      // One op after the other is never faster than overlapped.
      EXPECT_GE(f.hard_bound->ratio, f.possible->ratio * (1 - 1e-12));
      EXPECT_FALSE(f.projected);
      std::printf("%-24s %-28s hard bound %7.2f, possible %6.2f times the published\n", source.id.c_str(), r.id.c_str(),
                  f.hard_bound->ratio, f.possible->ratio);
      ++expressed;
    }
  EXPECT_GE(expressed, 50);
  EXPECT_GE(others, 10);
}

// By hand, of qwen3-32b in bf16 on one H20 (4 TB/s), 1 + 2048 tokens: a step reads 64 layers of 2 x 487 592 192 bytes
// (q 5120 x 8192, k and v 5120 x 1024 each, o 8192 x 5120, three of 5120 x 25600, norms 2 x 5120 + 2 x 128), a head of
// 2 x 151936 x 5120, and of each cached token 64 x 2 x 8 x 128 x 2 bytes. 2048 steps at 1024 tokens on average: the
// prompt's own reads as much weight.
TEST(Published, AStepByHand) {
  const std::vector<PublishedSource> all = list_published(kConfigs);
  const double layer = 5120. * 8192 * 2 + 2. * 5120 * 1024 + 3. * 5120 * 25600;
  const double weights = 2 * (64 * layer + 151936. * 5120), cache = 1024. * 64 * 2 * 8 * 128 * 2;
  const double tokens_per_s = 2049. / (2048 * (weights + cache) / 4e12);
  const PublishedFinding f = held(result(all, "qwen3-h20", "qwen3-32b-bf16-1"));
  EXPECT_NEAR(f.possible->value / tokens_per_s, 1, 2e-3);
  EXPECT_NEAR(f.possible->ratio, tokens_per_s / 20.72, 0.01);
}

// A cost is the price over the rate: 2.3 USD an hour of 96 devices that make 288 000 tokens/s are 0.213.
TEST(Published, CostAndRateOfOneStepAgree) {
  const std::vector<PublishedSource> all = list_published(kConfigs);
  const PublishedFinding rate = held(result(all, "kimi-k2-128-h200", "decode")),
                         cost = held(result(all, "kimi-k2-128-h200", "decode-cost"));
  EXPECT_NEAR(cost.possible->value, 2.3 * 96 / 3600 / rate.possible->value * 1e6, 1e-9);
  EXPECT_NEAR(cost.possible->ratio / rate.possible->ratio, 0.21 / (2.3 * 96 / 3600 / 288000 * 1e6), 1e-9);
}

// Of a device's rate, whatever number of devices the value is of.
TEST(Published, ValuesAreOfTheirDevices) {
  PublishedResult r = result(list_published(kConfigs), "deepseek-v3-96-h100", "decode-2k");
  const PublishedFinding eight = held(r);
  r.devices = 16;
  EXPECT_NEAR(held(r).possible->value, 2 * eight.possible->value, 1e-6);
  // 256 sequences of each device at one token a step.
  const PublishedSteps steps = published_steps(r, kConfigs);
  const Projection p =
      project(step_work(steps.model, steps.steps[0].scenario), find_hardware("h100-sxm", kConfigs), 1, nullptr);
  EXPECT_EQ(p.devices, 64);
  EXPECT_DOUBLE_EQ(p.tokens, 64 * 256);
  EXPECT_NEAR(eight.possible->value, 8 * 256 / *p.possible_s, 1e-6);
}

TEST(Published, ARequestIsAPromptAndTheMeanOfItsSteps) {
  PublishedResult r = result(list_published(kConfigs), "qwen3-h20", "qwen3-4b-bf16-6144");
  const PublishedSteps steps = published_steps(r, kConfigs);
  ASSERT_EQ(steps.steps.size(), 2u);
  EXPECT_EQ(steps.steps[0].scenario.context, 6144);
  EXPECT_EQ(steps.steps[1].scenario.context, 6144 + 1023);
  EXPECT_EQ(steps.steps[1].times, 2047);
  EXPECT_EQ(steps.tokens_of_sequence, 8192);
  r.counts_prompt = false;
  EXPECT_EQ(published_steps(r, kConfigs).tokens_of_sequence, 2048);
  r.output = 1;
  EXPECT_EQ(published_steps(r, kConfigs).steps.size(), 1u);
}

TEST(Published, RefusesWhatIsNotAResult) {
  const Json row = {{"id", "r"},    {"what", "w"}, {"measures", "decode"}, {"model", "qwen3-4b"}, {"hardware", "h20"},
                    {"devices", 1}, {"batch", 1},  {"prompt", 1},          {"tokens_per_s", 100}};
  TempDir dir;
  const auto refusal = [&](Json change, const Json& top = Json::object()) {
    Json one = row;
    one.merge_patch(change);
    Json file = {{"title", "t"}, {"source", "s"}, {"date", "2025-05"}, {"results", Json::array({one})}};
    file.merge_patch(top);
    return bad_input([&] { read_published(dir.write("p.json", file.dump())); });
  };
  EXPECT_EQ(refusal(Json::object()), "");
  EXPECT_TRUE(contains(refusal({{"tokens_per_s", nullptr}}), "expected tokens_per_s or usd_per_mtok"));
  EXPECT_TRUE(contains(refusal({{"usd_per_mtok", 1}, {"usd_per_hour", "1"}}), "one of them"));
  EXPECT_TRUE(contains(refusal({{"usd_per_mtok", 1}, {"tokens_per_s", nullptr}}), "usd_per_hour"));
  EXPECT_TRUE(contains(refusal({{"tokens_per_s", 0}}), "tokens_per_s"));
  EXPECT_TRUE(contains(refusal({{"output", 4}}), "output: unknown key"));
  EXPECT_TRUE(contains(refusal({{"measures", "request"}}), "output"));
  EXPECT_TRUE(contains(refusal({{"measures", "decoding"}}), "decode"));
  EXPECT_TRUE(contains(refusal({{"why_not", "because"}}), "unknown key"));
  EXPECT_TRUE(contains(refusal(Json::object(), {{"source", ""}}), "source"));
  EXPECT_TRUE(contains(refusal(Json::object(), {{"date", "2999-01-01"}}), "date"));
  EXPECT_TRUE(contains(refusal(Json::object(), {{"results", Json::array({row, row})}}), "two results"));
}

}  // namespace
}  // namespace layercost

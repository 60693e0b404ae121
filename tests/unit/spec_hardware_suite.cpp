// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/plan/model.h"
#include "harness/spec/hardware_spec.h"
#include "harness/spec/suite_spec.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;
using testing::TempDir;
using Json = nlohmann::json;

Json with(Json record, const Json& change) {
  record.merge_patch(change);
  return record;
}

TEST(Hardware, ShippedFilesHoldTheVendorsDenseRates) {
  const std::vector<HardwareSpec> known = list_hardware(kConfigs);
  struct Row {
    const char* id;
    double bf16, fp8, bytes_per_s, memory, power_w;  // fp8 0: none
  };
  const Row table[] = {
      {"a100-sxm-80gb", 312e12, 0, 2.039e12, 80e9, 400},
      {"b200-sxm", 2250e12, 4500e12, 8e12, 180e9, 1000},
      {"h100-sxm", 989e12, 1979e12, 3.35e12, 85017493504, 700},  // memory: as its driver reports
      {"h20", 148e12, 296e12, 4e12, 96e9, 400},
      {"h200-sxm", 989e12, 1979e12, 4.8e12, 141e9, 700},
      {"h800-sxm", 989e12, 1979e12, 3.35e12, 80e9, 700},
      {"l40s", 362e12, 733e12, 864e9, 48e9, 350},
      {"mi300x", 1307e12, 2615e12, 5.3e12, 192e9, 750},
      {"rtx-4090", 165.2e12, 330.3e12, 1.008e12, 24e9, 450},
      {"rtx-5090", 209.5e12, 419e12, 1.792e12, 32e9, 575},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.id);
    const auto found = std::find_if(known.begin(), known.end(), [&](const HardwareSpec& s) { return s.id == row.id; });
    ASSERT_NE(found, known.end());
    const HardwareSpec& spec = *found;
    ASSERT_NE(spec.peak("bf16"), nullptr);
    EXPECT_DOUBLE_EQ(spec.peak("bf16")->flops_per_s, row.bf16);
    EXPECT_DOUBLE_EQ(spec.peak("fp8") ? spec.peak("fp8")->flops_per_s : 0.0, row.fp8);
    EXPECT_DOUBLE_EQ(spec.memory_bytes_per_s.value, row.bytes_per_s);
    EXPECT_DOUBLE_EQ(spec.memory_bytes.value, row.memory);
    EXPECT_DOUBLE_EQ(spec.power_w.value, row.power_w);
  }
}

TEST(Hardware, MatchesWholeNamesOnly) {
  const std::vector<HardwareSpec> known = list_hardware(kConfigs);
  ASSERT_TRUE(match_hardware("NVIDIA H100 80GB HBM3", known));
  EXPECT_EQ(match_hardware("nvidia h200", known)->id, "h200-sxm");
  EXPECT_FALSE(match_hardware("NVIDIA H100 PCIe", known));
  EXPECT_FALSE(match_hardware("NVIDIA H200 NVL", known));
  EXPECT_FALSE(match_hardware("", known));
  EXPECT_TRUE(same_device("NVIDIA H200 SXM 141 GB", *match_hardware("NVIDIA H200", known)));
  EXPECT_FALSE(same_device("NVIDIA H100 SXM 80 GB", *match_hardware("NVIDIA H200", known)));
}

TEST(Hardware, RefusesSparseUnsourcedAndMisplacedNumbers) {
  const Json figure = {{"value", 80e9}, {"source", "S"}, {"date", "2026-10"}};
  const Json peak = {
      {"dtype", "bf16"}, {"flops_per_s", 989e12}, {"dense", true}, {"source", "S"}, {"date", "2026-10-01"}};
  const Json good = {{"name", "N"},
                     {"vendor", "V"},
                     {"architecture", "A"},
                     {"device_names", {"D"}},
                     {"peaks", Json::array({peak})},
                     {"memory_bytes", figure},
                     {"memory_bytes_per_s", figure},
                     {"power_w", with(figure, {{"value", 700}})}};
  TempDir dir;
  const auto refusal = [&](const Json& record) {
    return bad_input([&] { read_hardware(dir.write("h.json", record.dump())); });
  };
  EXPECT_EQ(refusal(good), "");
  const auto changed = [&](const Json& change) { return with(good, {{"peaks", Json::array({with(peak, change)})}}); };
  EXPECT_TRUE(contains(refusal(changed({{"dense", false}})), "peaks[0].dense"));
  EXPECT_TRUE(contains(refusal(changed({{"dense", nullptr}})), "peaks[0].dense"));
  EXPECT_TRUE(contains(refusal(changed({{"flops_per_s", 989}})), "peaks[0].flops_per_s"));
  EXPECT_TRUE(contains(refusal(changed({{"source", nullptr}})), "peaks[0].source"));
  EXPECT_TRUE(contains(refusal(changed({{"source", ""}})), "peaks[0].source"));
  EXPECT_TRUE(contains(refusal(changed({{"date", nullptr}})), "peaks[0].date"));
  EXPECT_TRUE(contains(refusal(changed({{"date", "last year"}})), "peaks[0].date"));
  EXPECT_TRUE(contains(refusal(changed({{"date", "2026-13"}})), "peaks[0].date"));
  EXPECT_TRUE(contains(refusal(changed({{"tflops", 989}})), "peaks[0].tflops: unknown key"));
  EXPECT_TRUE(contains(refusal(with(good, {{"peaks", Json::array()}})), "peaks: expected a list of at least 1"));
  EXPECT_TRUE(contains(refusal(with(good, {{"power_w", {{"value", 0}}}})), "power_w.value"));
  EXPECT_TRUE(contains(refusal(with(good, {{"architecture", nullptr}})), "architecture"));
  EXPECT_TRUE(contains(refusal(with(good, {{"architecture", " "}})), "architecture"));
  // A rate with f16 sums is kept but never the nominal one.
  const HardwareSpec two = read_hardware(dir.write(
      "h.json",
      with(good, {{"peaks", Json::array({peak, with(peak, {{"flops_per_s", 2e15}, {"accumulate", "f16"}})})}}).dump()));
  EXPECT_EQ(two.peaks.size(), 2u);
  EXPECT_DOUBLE_EQ(two.peak("bf16")->flops_per_s, 989e12);
  EXPECT_EQ(two.peak("fp8"), nullptr);
}

TEST(Suites, ShippedSuitesAreWhatTheDocumentationSays) {
  const Suite quick = find_suite("quick", kConfigs);
  EXPECT_EQ(quick.name, "quick");
  EXPECT_EQ(quick.models, (std::vector<std::string>{"qwen3-4b", "qwen3-30b-a3b", "qwen3-32b"}));
  EXPECT_EQ(quick.decode.batches, (std::vector<std::int64_t>{1, 8}));
  EXPECT_EQ(quick.decode.contexts, std::vector<std::int64_t>{1024});
  EXPECT_EQ(quick.prefill.tokens, std::vector<std::int64_t>{256});
  EXPECT_EQ(quick.prefill.batch, 1);
  EXPECT_EQ(quick.dtype, "bf16");
  EXPECT_EQ(quick.routing, "uniform");
  EXPECT_EQ(find_suite("tradeoff", kConfigs).decode.batches, (std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64}));
  EXPECT_EQ(quick.pairs.size(), 2u);
  EXPECT_GE(list_suites(kConfigs).size(), 2u);
  for (const std::string& name : list_suites(kConfigs)) {
    const Suite suite = find_suite(name, kConfigs);
    for (const SuitePair& pair : suite.pairs) {
      EXPECT_FALSE(find_model(pair.dense, kConfigs).experts) << pair.dense;
      EXPECT_TRUE(find_model(pair.moe, kConfigs).experts) << pair.moe;
    }
    for (const std::string& model : suite.models) EXPECT_EQ(find_model(model, kConfigs).name, model);
    EXPECT_EQ(suite.models.empty(), suite.ladder.has_value());
    if (suite.ladder) {
      EXPECT_TRUE(find_model(suite.ladder->model, kConfigs).experts);
    }
  }
}

TEST(Suites, BadOnesAreRefusedAtTheirPlace) {
  const Json good = {
      {"title", "T"},    {"models", {"a", "b"}},  {"decode", {{"batches", {1, 8}}, {"contexts", {0, 1024}}}},
      {"dtype", "bf16"}, {"routing", "zipf:1.2"}, {"pairs", Json::array({{{"dense", "a"}, {"moe", "b"}}})}};
  TempDir dir;
  const auto refusal = [&](const Json& change) {
    return bad_input([&] { read_suite(dir.write("s.json", with(good, change).dump())); });
  };
  EXPECT_EQ(refusal(Json::object()), "");
  EXPECT_EQ(refusal({{"decode", nullptr}, {"prefill", {{"tokens", {16}}, {"batch", 4}}}}), "");
  const Json ladder = {{"model", "a"}, {"format", "q8_0"}};
  EXPECT_EQ(refusal({{"models", nullptr}, {"pairs", nullptr}, {"ladder", ladder}}), "");
  const std::pair<Json, const char*> table[] = {
      {{{"modles", {"a"}}}, ": modles: unknown key (did you mean 'models'?)"},
      {{{"ladder", ladder}}, ": models: a suite with a ladder has one model"},
      {{{"models", nullptr}, {"ladder", ladder}}, ": pairs: a suite with a ladder has one model"},
      {{{"models", nullptr}, {"pairs", nullptr}, {"ladder", {{"model", "a"}}}}, ": ladder.format: "},
      {{{"models", nullptr}, {"pairs", nullptr}, {"ladder", {{"model", "a"}, {"format", "q8"}}}}, ": ladder: "},
      {{{"title", nullptr}}, ": title: "},
      {{{"models", Json::array()}}, ": models: "},
      {{{"models", {"a", "a", "b"}}}, ": models: names a model twice"},
      {{{"models", {"a", 1}}}, ": models[1]: "},
      {{{"decode", nullptr}}, ": decode: "},
      {{{"decode", {{"batches", {0}}}}}, ": decode.batches[0]: "},
      {{{"decode", {{"batches", {8, 1}}}}}, ": decode.batches: expected rising"},
      {{{"decode", {{"batches", {8, 8}}}}}, ": decode.batches: expected rising"},
      {{{"decode", {{"batches", Json::array()}}}}, ": decode.batches: "},
      {{{"decode", {{"contexts", {-1}}}}}, ": decode.contexts[0]: "},
      {{{"decode", {{"contexts", nullptr}}}}, ": decode.contexts: the key is missing"},
      {{{"prefill", {{"tokens", {0}}}}}, ": prefill.tokens[0]: "},
      {{{"dtype", "fp8"}}, ": dtype: "},
      {{{"routing", "random"}}, ": routing: "},
      {{{"routing", "zipf:0"}}, ": routing: "},
      {{{"routing", "zipf:"}}, ": routing: "},
      {{{"routing", "zipf:11"}}, ": routing: "},
      {{{"routing", "trace:/etc/passwd"}}, ": routing: "},
      {{{"pairs", Json::array({{{"dense", "a"}, {"moe", "c"}}})}}, ": pairs[0].moe: "},
      {{{"pairs", Json::array({{{"dense", "a"}}})}}, ": pairs[0].moe: the key is missing"},
  };
  for (const auto& [change, said] : table)
    EXPECT_TRUE(contains(refusal(change), said)) << refusal(change) << "\nlacks: " << said;
  EXPECT_TRUE(contains(bad_input([] { find_suite("quik", kConfigs); }), "did you mean 'quick'?"));
  EXPECT_EQ(find_suite(dir.write("mine.json", good.dump()).string(), kConfigs).name, "mine");
}

TEST(SameDevice, IsNamedByTheDriverOrByTheVendor) {
  const std::vector<HardwareSpec> known = list_hardware(kConfigs);
  const char* h100 = "NVIDIA H100 80GB HBM3";
  for (const char* name : {"NVIDIA H100 SXM 80 GB", "H100 SXM 80 GB", "h100-sxm", "nvidia h100 80gb hbm3"})
    EXPECT_TRUE(same_device(name, h100, known)) << name;
  for (const char* name : {"NVIDIA H200 SXM 141 GB", "H100", "NVIDIA H100 PCIe", "", "AMD EPYC"})
    EXPECT_FALSE(same_device(name, h100, known)) << name;
  EXPECT_TRUE(same_device("AMD EPYC", "AMD EPYC", known));
  EXPECT_FALSE(same_device("NVIDIA H100 SXM 80 GB", "AMD EPYC", known));
}

}  // namespace
}  // namespace layercost

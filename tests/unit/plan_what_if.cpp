// Models that nobody trained. The numbers of qwen3-30b-a3b are worked by hand from its config: 2048 wide, 48 layers, 32
// heads and 4 key heads of 128, 128 experts of 768 columns, 8 for a token, 151936 words.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/what_if.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/plan/counts.h"
#include "harness/plan/digest.h"
#include "harness/spec/part_name.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;

ModelSpec named(const std::string& name) { return find_model(name, kConfigs); }

std::vector<std::string> kinds_of(const ModelSpec& m) {
  std::vector<std::string> names;
  for (const LayerKind& kind : m.kinds) names.push_back(kind.name);
  return names;
}
const OpCase& case_of(const LayerPlan& plan, const std::string& component) {
  return std::find_if(plan.ops.begin(), plan.ops.end(), [&](const auto& p) { return p.component == component; })
      ->op_case;
}
const WeightSpec& weight_of(const LayerPlan& plan, const std::string& name) {
  return *std::find_if(plan.weights.begin(), plan.weights.end(), [&](const auto& w) { return w.name == name; });
}

constexpr std::int64_t kHead = 151936 * 2048, kLayers = 48, kColumn = 3 * 2048;
constexpr std::int64_t kAttention = (32 + 4 + 4) * 128 * 2048 + 2048 * 32 * 128 + 2 * 128;
constexpr std::int64_t kRest = kLayers * (kAttention + 2 * 2048) + 2048 + kHead;  // all but MLPs

// Active: kRest + 48 (8 x 768 columns + a router of 128 rows) = 3041867776. An MLP that makes it once as much has
// 6186.67 columns, the router's rows with the experts', twice 16501.2, half 1029.4.
TEST(WhatIf, ATwinHasSoManyTimesTheActiveParameters) {
  const std::int64_t active = kRest + kLayers * (8 * 768 * kColumn + 128 * 2048);
  ASSERT_EQ(active, 3041867776);
  for (const auto& [q, width] : {std::pair("1", 6144), {"2", 16384}, {"0.5", 1024}, {"1.5", 11264}, {"4", 37120}}) {
    const ModelSpec m = named(std::string("Qwen/Qwen3-30B-A3B@twin") + q);
    EXPECT_EQ(m.name, std::string("qwen3-30b-a3b@twin") + q);
    EXPECT_EQ(m.id, "") << "nobody publishes it";
    EXPECT_FALSE(m.experts);
    EXPECT_EQ(kinds_of(m), std::vector<std::string>{"dense"});
    EXPECT_EQ(case_of(plan_layer(m, m.kinds[0], {}), "glu").axis("ffn_hidden"), width);
    const ParameterCount n = count_parameters(m);
    EXPECT_EQ(n.active, kRest + kLayers * width * kColumn);
    EXPECT_EQ(n.total, n.active + kHead);
    EXPECT_EQ(kv_elements_per_token(m), kv_elements_per_token(named("qwen3-30b-a3b")));
  }
  EXPECT_TRUE(contains(named("qwen3-30b-a3b@twin2").notes.back(),
                       "an MLP of 16384 columns, which makes its active parameters 1.9886 times as many"));
  EXPECT_EQ(named("qwen3-30b-a3b@twin2.0").name, "qwen3-30b-a3b@twin2");
}

TEST(WhatIf, TheDenseOneHasAllParameters) {
  const ModelSpec m = named("qwen3-30b-a3b@dense");
  // 128 x 768 columns and 128 rows of routers: 98346.7.
  EXPECT_EQ(case_of(plan_layer(m, m.kinds[0], {}), "glu").axis("ffn_hidden"), 98304);
  EXPECT_EQ(count_parameters(m).total, kRest + kHead + kLayers * 98304 * kColumn);
}

// All else equal: a twin of qwen3_moe is the qwen3 model of that width, tensor for tensor and op for op.
TEST(WhatIf, ATwinIsTheDenseModelOfItsFamily) {
  const testing::TempDir folder;
  const std::string same = R"("hidden_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 4096, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
      "max_position_embeddings": 4096, "tie_word_embeddings": false)";
  const auto config = [&](const char* name, const std::string& own) {
    return find_model(
        folder.write(name, "{" + own + ", " + same + "}").string() + (own.find("moe") == own.npos ? "" : "@twin1"),
        kConfigs);
  };
  const ModelSpec twin = config("a.json", R"("model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2,
      "moe_intermediate_size": 512, "intermediate_size": 9, "norm_topk_prob": true)");
  // 2 x 512 columns and a router of 8 rows: 1024 and 2.7 of them.
  const ModelSpec dense = config("b.json", R"("model_type": "qwen3", "intermediate_size": 1024)");
  EXPECT_EQ(twin.name, "a@twin1");
  const std::string a = canonical_text(twin), b = canonical_text(dense);
  EXPECT_EQ(a.substr(a.find(' ')), b.substr(b.find(' '))) << "but for the model_type";
  EXPECT_NE(model_digest(twin), model_digest(named((folder.path() / "a.json").string())));
}

TEST(WhatIf, DenseLayersOfItsOwnStay) {
  const ModelSpec m = named("glm-4.5-air@twin1.5");
  EXPECT_EQ(kinds_of(m), (std::vector<std::string>{"dense", "dense ffn=24320"}));
  EXPECT_EQ(m.count_of(m.kinds[0]), 1);
  EXPECT_EQ(m.count_of(m.kinds[1]), 45);
  EXPECT_EQ(case_of(plan_layer(m, m.kinds[0], {}), "glu").axis("ffn_hidden"), 10944);
  EXPECT_EQ(m.mtp_layers, 0);
  for (const std::string& note : m.notes) EXPECT_FALSE(contains(note, "--mtp")) << note;
}

// Experts of gpt-oss are mxfp4 and clamped, with biases; the rest is left as it was.
TEST(WhatIf, TheMlpHasTheExpertsFormatAndActivation) {
  const ModelSpec m = named("gpt-oss-20b@twin1");
  StepShape s;
  s.weights = weights_by_config(m, DType::bf16);
  const LayerPlan plan = plan_layer(m, m.kinds[0], s);
  EXPECT_EQ(m.kinds[0].name, "dense window=128");
  EXPECT_EQ(weight_of(plan, "gate_up_w").format->name, "mxfp4");
  EXPECT_EQ(weight_of(plan, "down_w").format->name, "mxfp4");
  EXPECT_EQ(weight_of(plan, "qkv_w").format->name, "bf16");
  EXPECT_EQ(weight_of(plan, "gate_up_bias").shape, (Shape{2 * 11520}));
  EXPECT_TRUE(contains(case_of(plan, "glu").text(), "act=clamped limit=7"));
}

TEST(WhatIf, EveryWidthIsOneOfEveryFormat) {
  for (const WeightFormat& format : weight_formats()) {
    StepShape s;
    s.weights = WeightTypes::of(format, DType::bf16);
    const ModelSpec m = named("qwen3-30b-a3b@twin1.5");
    EXPECT_NO_THROW(plan_layer(m, m.kinds[0], s)) << format.name;
  }
}

TEST(WhatIf, HeadsWithKeysOfTheirOwn) {
  const ModelSpec grouped = named("qwen3-30b-a3b@mha");
  EXPECT_EQ(kinds_of(grouped), std::vector<std::string>{"moe"});
  EXPECT_EQ(kv_elements_per_token(grouped), 48 * 2 * 32 * 128);
  EXPECT_EQ(count_parameters(grouped).total - count_parameters(named("qwen3-30b-a3b")).total,
            std::int64_t{48} * 2 * 28 * 128 * 2048);
  // DeepSeek-V2-Lite, 16 heads: 27 x 2 x 16 x 128 elements a token where latents have 27 x 576.
  const ModelSpec latent = named("deepseek-v2-lite@mha");
  EXPECT_EQ(kv_elements_per_token(latent), 27 * 2 * 16 * 128);
  EXPECT_EQ(case_of(plan_layer(latent, latent.kinds[0], {}), "rope").axis("rotary_dims"), 64);
}

TEST(WhatIf, WithoutSharedExperts) {
  const ModelSpec whole = named("deepseek-v2-lite"), m = named("deepseek-v2-lite@unshared");
  EXPECT_EQ(m.experts, whole.experts);
  EXPECT_EQ(count_parameters(whole).active - count_parameters(m).active, std::int64_t{26} * 3 * 2048 * 2 * 1408);
}

TEST(WhatIf, LaddersLeaveOutWhatChangesNothing) {
  const auto names = [](const char* name) {
    std::vector<std::string> all;
    for (const ModelSpec& m : ladder(named(name))) all.push_back(m.name);
    return all;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names("deepseek-v2-lite"), (Names{"deepseek-v2-lite@dense@mha", "deepseek-v2-lite@dense",
                                              "deepseek-v2-lite@unshared", "deepseek-v2-lite"}));
  EXPECT_EQ(names("qwen3-30b-a3b"), (Names{"qwen3-30b-a3b@dense@mha", "qwen3-30b-a3b@dense", "qwen3-30b-a3b"}));
  EXPECT_EQ(names("olmoe-1b-7b-0924"), (Names{"olmoe-1b-7b-0924@dense", "olmoe-1b-7b-0924"}));
  EXPECT_EQ(names("qwen3-4b"), (Names{"qwen3-4b@mha", "qwen3-4b"}));
}

TEST(WhatIf, RefusesByName) {
  const auto refusal = [](const std::string& name) { return bad_input([&] { named(name); }); };
  EXPECT_EQ(refusal("qwen3-4b@twin2"), "qwen3-4b@twin2: has no experts that an MLP could stand for");
  // 256 columns make 0.425 of the active parameters, by hand (kRest + 48 x 256 x 6144) / 3041867776.
  EXPECT_TRUE(contains(refusal("qwen3-30b-a3b@twin0.1"), "the least, with an MLP of 256 columns, is 0.425 times"));
  EXPECT_TRUE(contains(refusal("qwen3-30b-a3b@twin1000"), "an MLP of more than 4194304 columns"));
  for (const char* q : {"0", "x", "", "-1", "1e3", "nan"})
    EXPECT_TRUE(contains(refusal(std::string("qwen3-30b-a3b@twin") + q), "above 0, such as 1 or 1.5")) << q;
  EXPECT_TRUE(contains(refusal("gemma-4-26b-a4b-it@twin2"), "layers of model_type gemma4 are not made of blocks"));
  EXPECT_TRUE(contains(refusal("minimax-text-01@dense"), "model_type minimax"));
  EXPECT_TRUE(contains(refusal("qwen3.5-35b-a3b@mha"), "linear attention keeps no keys"));
  EXPECT_TRUE(contains(refusal("deepseek-v3.2@mha"), "chooses among the keys"));
  EXPECT_TRUE(contains(refusal("olmoe-1b-7b-0924@mha"), "already"));
  EXPECT_TRUE(contains(refusal("qwen3-30b-a3b@unshared"), "has no shared experts"));
  EXPECT_TRUE(contains(refusal("qwen3-30b-a3b@tp2@twin2"), "expected name@twin2@..."));
  EXPECT_TRUE(contains(refusal("deepseek-v3@mtp@twin2"), "expected name@twin2@..."));
  EXPECT_TRUE(contains(refusal("qwen3-30b-a3b@twim2"), "'@twim2' is no change of one (did you mean 'twin2'?)"));
  EXPECT_TRUE(contains(refusal("qwen3-30b-a4b@dense"), "no model \"qwen3-30b-a4b\" (did you mean"));
  EXPECT_EQ(named("qwen3-30b-a3b@twin2@tp8").name, "qwen3-30b-a3b@twin2@tp8");
}

TEST(WhatIf, NamesTellTheirChanges) {
  const ChangedName both = split_changes("m@dense@mha@tp8");
  EXPECT_EQ(both.published, "m@tp8");
  EXPECT_EQ(both.changes, (std::vector<std::string>{"dense", "mha"}));
  EXPECT_EQ(split_changes("m@ep32").published, "m@ep32");
  EXPECT_TRUE(split_changes("m@ep32").changes.empty());
  EXPECT_DOUBLE_EQ(*twin_size("twin1.5"), 1.5);
  EXPECT_FALSE(twin_size("dense") || twin_size("twin") || twin_size("twinx"));
  EXPECT_FALSE(split_change("/tmp/x@twins/config.json"));
}

}  // namespace
}  // namespace layercost

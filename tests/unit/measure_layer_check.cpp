// What a layer's verdict sees: one token of mixtures of experts on the CPU, with a common factor planted into what the
// layer adds.
// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/layer_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "harness/measure/stack.h"
#include "harness/measure/verify.h"
#include "harness/plan/model.h"
#include "kernels/contract/registry.h"

namespace layercost {
namespace {

Verdict verdict_of(int top_k, double factor) {
  const auto path = std::filesystem::path(testing::TempDir()) / fmt::format("layercost_gain_{}", top_k);
  std::filesystem::create_directories(path);
  std::ofstream(path / "config.json") << fmt::format(
      R"({{"model_type": "qwen3_moe", "hidden_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 2,
           "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 64, "moe_intermediate_size": 64,
           "num_experts": 16, "num_experts_per_tok": {}, "norm_topk_prob": true, "vocab_size": 100,
           "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000, "hidden_act": "silu",
           "tie_word_embeddings": false}})",
      top_k);
  const ModelSpec model = read_model(path / "config.json");
  std::filesystem::remove_all(path);
  StepShape shape;
  shape.kv_len = shape.capacity = 9;
  const LayerPlan plan = plan_layer(model, model.kinds.front(), shape);
  Runtime runtime(describe_cpu());
  BufferSet buffers = shared_buffers(plan, runtime);
  buffers.merge(own_buffers(plan, 1, 0, runtime));
  fill_normal(runtime, buffers.at("input")->view(), 2);
  Layer layer(plan, synthetic_weights(plan, 1, 0), buffers, runtime);
  layer.run();
  const Tensor &x = layer.buffer("input"), &y = layer.buffer("output");
  for (std::int64_t i = 0; i < y.elements(); ++i) y.store(i, x.load(i) + factor * (y.load(i) - x.load(i)));
  Verdict verdict;
  check_layer(layer, {0}, verdict);
  return verdict;
}

TEST(LayerGain, IsHeldAgainstTheNumberOfRoutingWeights) {
  for (const int top_k : {1, 8}) {
    SCOPED_TRACE(top_k);
    const Verdict right = verdict_of(top_k, 1.0), wrong = verdict_of(top_k, 1.007);
    EXPECT_TRUE(right.ok) << right.why;
    EXPECT_FALSE(wrong.ok) << "gain " << wrong.gain << " of " << wrong.gain_limit;
    EXPECT_NE(wrong.why.find("common factor"), std::string::npos) << wrong.why;
    EXPECT_GT(wrong.gain, wrong.gain_limit) << "the limit that was applied stands beside it";
  }
  // One row of 1024: 6 x 0.02 / sqrt(1024), more than the 0.01 / sqrt(8) of eight weights; one weight would be 0.01, of
  // which 4e-3 stay. The rounding of a stream that is as large as what is added: some 6 x 4e-3 x sqrt(2) / 32, in
  // squares.
  EXPECT_NEAR(verdict_of(8, 1.0).gain_limit, 3.75e-3, 2e-4);
  EXPECT_NEAR(verdict_of(1, 1.0).gain_limit, 4e-3, 1e-4);
}

// tests/unit/toy.json is one that was called wrong at layer 38 of its stack: 64 columns, one token, bf16.
struct TallStack {
  explicit TallStack(std::uint64_t seed) {
    const ModelSpec model = read_model(std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/unit/field/toy.json");
    StepShape shape;
    shape.kv_len = shape.capacity = 17;
    const LayerPlan plan = plan_layer(model, model.kinds.front(), shape);
    std::vector<WeightSet> weights;
    for (std::int64_t l = 0; l < kHeight; ++l) weights.push_back(synthetic_weights(plan, seed, l));
    stack = std::make_unique<Stack>(plan, weights, kHeight, seed, runtime, std::vector<const Variant*>{});
  }
  // Of layer l, right after the ones below it ran; `factor` is planted into what it adds.
  Verdict verdict(std::size_t l, double factor, bool shrink) {
    Layer& layer = stack->layer(l);
    if (shrink) shrink_input(layer, runtime);
    layer.run();
    const Tensor &x = layer.buffer(BufferRole::input), &y = layer.buffer(BufferRole::output);
    const std::vector<std::uint16_t> kept(y.as<std::uint16_t>(), y.as<std::uint16_t>() + y.elements());
    for (std::int64_t i = 0; i < y.elements(); ++i) y.store(i, x.load(i) + factor * (y.load(i) - x.load(i)));
    Verdict v;
    check_layer(layer, {0}, v);
    std::copy(kept.begin(), kept.end(), y.as<std::uint16_t>());
    return v;
  }
  static constexpr std::int64_t kHeight = 256;
  Runtime runtime{describe_cpu()};
  std::unique_ptr<Stack> stack;
};

TEST(TallStacks, AreRightAtEveryHeightAndTwoPercentAreSeen) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    TallStack tall(seed);
    double largest = 0;
    for (std::size_t l = 0; l < TallStack::kHeight; ++l) {
      const Verdict right = tall.verdict(l, 1.0, l > 0);
      EXPECT_TRUE(right.ok) << "seed " << seed << " layer " << l << ": " << right.why;
      largest = std::max(largest, right.rel_l2);
      const Verdict high = tall.verdict(l, 1.02, false), low = tall.verdict(l, 0.98, false);
      EXPECT_FALSE(high.ok && low.ok) << "seed " << seed << " layer " << l;
      EXPECT_TRUE(!high.ok || high.gain > 0.01) << "seed " << seed << " layer " << l;
    }
    EXPECT_LT(largest, 2e-2) << "shrunk, no height needs more than the lowest";
  }
}

// The last timed pass is checked as it is, with the stream that it has.
TEST(TallStacks, AreRightWithTheStreamAsItIs) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    TallStack tall(seed);
    double largest = 0;
    for (std::size_t l = 0; l < TallStack::kHeight; ++l) {
      const Verdict v = tall.verdict(l, 1.0, false);
      EXPECT_TRUE(v.ok) << "seed " << seed << " layer " << l << ": " << v.why;
      EXPECT_FALSE(tall.verdict(l, 1.1, false).ok) << "seed " << seed << " layer " << l;
      largest = std::max(largest, v.rel_l2);
    }
    EXPECT_GT(largest, 2e-2) << "the fixed limit alone would refuse this right stack";
  }
}

// One layer of a small model that has run on random tokens: batch 2 of 7 rows each.
struct Ran {
  explicit Ran(const char* golden, std::int64_t q_len = 7, std::int64_t kv_len = 12,
               std::optional<std::int64_t> of_layer = {}) {
    model = read_model(std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/golden" / golden);
    StepShape shape;
    shape.batch = 2, shape.q_len = q_len, shape.kv_len = kv_len, shape.capacity = 13;
    shape.weights = WeightTypes::of(weight_format(DType::f32), DType::f32);
    shape.activation_type = shape.kv_type = DType::f32;
    plan = plan_layer(model, of_layer ? model.layer(*of_layer) : model.kinds.back(), shape);
    BufferSet buffers = shared_buffers(plan, runtime);
    buffers.merge(own_buffers(plan, 1, 0, runtime));
    fill_normal(runtime, buffers.at("input")->view(), 2);
    layer = std::make_unique<Layer>(plan, synthetic_weights(plan, 1, 0), buffers, runtime);
    layer->run();
  }
  Verdict verdict(const std::vector<std::int64_t>& rows) {
    Verdict v;
    check_layer(*layer, rows, v);
    return v;
  }
  Runtime runtime{describe_cpu()};
  ModelSpec model;
  LayerPlan plan;
  std::unique_ptr<Layer> layer;
};

constexpr const char* kGoldens[] = {"llama_bias",     "qwen2_window",       "qwen3_gqa",        "qwen3_moe_sparse",
                                    "mixtral_window", "deepseek_v2_groups", "deepseek_v3_kimi", "deepseek_v32_groups"};

TEST(LayerRows, AFewAreCheckedAsAllAre) {
  for (const char* golden : kGoldens) {
    SCOPED_TRACE(golden);
    Ran ran(golden);
    const std::vector<std::int64_t> all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    EXPECT_TRUE(ran.verdict(all).ok) << ran.verdict(all).why;
    for (const std::vector<std::int64_t>& rows : {std::vector<std::int64_t>{0}, {6}, {3, 9}, {7, 8, 13}})
      EXPECT_TRUE(ran.verdict(rows).ok) << ran.verdict(rows).why;
    // A wrong row is seen when it is looked at, and not otherwise.
    const Tensor& y = ran.layer->buffer("output");
    const std::int64_t h = ran.model.hidden;
    for (std::int64_t i = 0; i < h; ++i) y.store(9 * h + i, 1.01 * y.load(9 * h + i));
    EXPECT_FALSE(ran.verdict({3, 9}).ok);
    EXPECT_FALSE(ran.verdict(all).ok);
    EXPECT_TRUE(ran.verdict({3, 8}).ok);
  }
}

// Keys and values of all rows are made from the latents of all rows, whichever rows are looked at.
TEST(LayerRows, OfAnExpandedPromptToo) {
  Ran ran("deepseek_v3_groups", 7, 7);
  for (const std::vector<std::int64_t>& rows : {std::vector<std::int64_t>{0}, {6}, {3, 9}, {7, 8, 13}})
    EXPECT_TRUE(ran.verdict(rows).ok) << ran.verdict(rows).why;
  const Tensor& x = ran.layer->buffer("input");
  x.store(2 * ran.model.hidden, x.load(2 * ran.model.hidden) + 3);  // row 2 of the first sequence
  EXPECT_TRUE(ran.verdict({0, 1}).ok) << "before it";
  EXPECT_FALSE(ran.verdict({4}).ok) << "behind it";
  EXPECT_TRUE(ran.verdict({8, 12}).ok) << "the other sequence";
}

// Every buffer that the reference takes from the layer, and every weight, takes part: one changed after the run no
// longer agrees.
TEST(LayerRows, EveryInputOfTheReferenceCounts) {
  for (const char* golden : kGoldens) {
    for (const BufferRole role :
         {BufferRole::input, BufferRole::cache, BufferRole::rotary_cos, BufferRole::rotary_sin}) {
      Ran ran(golden);
      for (const BufferSpec& b : ran.plan.buffers) {
        if (b.role != role) continue;
        SCOPED_TRACE(std::string(golden) + " " + b.name);
        const Tensor& t = ran.layer->buffer(b.name);
        const std::vector<float> kept(t.as<float>(), t.as<float>() + t.elements());
        // Old keys of the cache: the new ones are the reference's own. A window of 5 does not see the first ones.
        // A shift that is common to all index keys hardly changes the order of their scores.
        const bool ranks = b.name == "index_cache";
        for (std::int64_t i = 0; i < t.elements(); ++i) t.store(i, ranks ? -t.load(i) : t.load(i) + 0.1);
        EXPECT_FALSE(ran.verdict({2, 7}).ok);
        std::copy(kept.begin(), kept.end(), t.as<float>());
        EXPECT_TRUE(ran.verdict({2, 7}).ok);
      }
    }
  }
}

// Five of up to twelve keys are selected, by the layer's own indexer.
TEST(LayerRows, SelectionsThatCannotBeOrAreNotTheBestAreNamed) {
  Ran ran("deepseek_v32_groups");
  EXPECT_TRUE(ran.verdict({3}).ok) << ran.verdict({3}).why;
  std::int32_t* row = ran.layer->buffer(BufferRole::selection).as<std::int32_t>() + 5 * 3;  // sees 12 - 7 + 4 keys
  const std::vector<std::int32_t> kept(row, row + 5);
  const auto why_of = [&](std::vector<std::int32_t> keys) {
    std::copy(keys.begin(), keys.end(), row);
    const std::string why = ran.verdict({3}).why;
    std::copy(kept.begin(), kept.end(), row);
    return why;
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(why_of({0, 1, 2, 3, 9}), "entry 4 of the selection cannot be 9")) << "behind the query";
  EXPECT_TRUE(has(why_of({0, 1, 1, 3, 4}), "entry 2 of the selection cannot be 1")) << "twice";
  EXPECT_TRUE(has(why_of({0, 1, 2, 3, -1}), "entry 4 of the selection cannot be -1")) << "one too few";
  EXPECT_TRUE(has(why_of({-7, 1, 2, 3, 4}), "entry 0 of the selection cannot be -7"));
  // Another key for one that was selected: attention saw other keys than it says, and the key scores less.
  std::vector<std::int32_t> other;
  for (std::int32_t j = 0; j < 9 && other.size() < 5; ++j)
    if (std::find(kept.begin(), kept.end(), j) == kept.end()) other.push_back(j);
  for (std::size_t i = 0; other.size() < 5; ++i) other.push_back(kept[i]);
  std::sort(other.begin(), other.end());
  EXPECT_TRUE(has(why_of(other), "a key that was left out scores")) << why_of(other);
  EXPECT_TRUE(ran.verdict({3}).ok);
}

// A layer that shares a selection sees what it is given, and nothing else.
TEST(LayerRows, AGivenSelectionIsWhatTheReferenceSees) {
  Ran ran("glm_moe_dsa_shared", 7, 12, 1);
  ASSERT_NE(ran.plan.find_buffer(BufferRole::given_selection), nullptr);
  EXPECT_TRUE(ran.verdict({3, 9}).ok) << ran.verdict({3, 9}).why;
  std::int32_t* row = ran.layer->buffer(BufferRole::given_selection).as<std::int32_t>() + 4 * 3;
  for (std::int32_t j = 0; j < 4; ++j) row[j] = row[3] == 3 ? j + 1 : j;
  EXPECT_FALSE(ran.verdict({3}).ok) << "other keys";
  EXPECT_TRUE(ran.verdict({9}).ok) << "the other sequence";
}

TEST(LayerRows, IdsThatCannotBeAreNamed) {
  Ran ran("mixtral_window");
  const Tensor& ids = ran.layer->buffer(BufferRole::expert_ids);
  ids.as<std::int32_t>()[2 * 3] = 99;
  EXPECT_NE(ran.verdict({3}).why.find("expert id 99 is out of range"), std::string::npos);
  EXPECT_TRUE(ran.verdict({4}).ok);
  // Another expert than the router's: refused by its logit.
  Ran other("mixtral_window");
  const Tensor& chosen = other.layer->buffer(BufferRole::expert_ids);
  std::int32_t* row = chosen.as<std::int32_t>() + 2 * 3;
  for (std::int32_t e = 0; e < 4; ++e)
    if (e != row[0] && e != row[1]) row[1] = e;
  EXPECT_NE(other.verdict({3}).why.find("a refused expert's logit"), std::string::npos) << other.verdict({3}).why;
}

// Sixteen experts in four groups of four, five chosen from the best two groups by their biased scores.
TEST(LayerRows, IdsOfOtherGroupsAreNamed) {
  const auto chosen_of = [](const Ran& ran) {
    return ran.layer->buffer(BufferRole::expert_ids).as<std::int32_t>() + 5 * 3;
  };
  const auto in = [](const std::int32_t* row, std::int32_t e) { return std::find(row, row + 5, e) != row + 5; };
  {
    Ran ran("deepseek_v3_groups");
    EXPECT_TRUE(ran.verdict({3}).ok) << ran.verdict({3}).why;
    std::int32_t* row = chosen_of(ran);
    // The fifth from a group that has none of the others.
    std::set<std::int32_t> groups;
    for (int j = 0; j < 5; ++j) groups.insert(row[j] / 4);
    ASSERT_EQ(groups.size(), 2u) << "no group holds five";
    for (std::int32_t g = 0; g < 4; ++g)
      if (!groups.contains(g)) row[4] = 4 * g;
    EXPECT_NE(ran.verdict({3}).why.find("groups"), std::string::npos) << ran.verdict({3}).why;
  }
  {
    Ran ran("deepseek_v3_groups");
    std::int32_t* row = chosen_of(ran);
    // The best one replaced by one of its group that was refused; with all of the group chosen, by one of the other's.
    for (std::int32_t e = 0; e < 16; ++e)
      if (!in(row, e) && (e / 4 == row[0] / 4 || e / 4 == row[4] / 4)) row[0] = e;
    EXPECT_NE(ran.verdict({3}).why.find("a refused expert's biased score"), std::string::npos) << ran.verdict({3}).why;
  }
  {
    Ran ran("deepseek_v3_groups");
    std::int32_t* row = chosen_of(ran);
    std::set<std::int32_t> groups;
    for (int j = 0; j < 5; ++j) groups.insert(row[j] / 4);
    // All of the two groups that were refused, as far as five go.
    int j = 0;
    for (std::int32_t e = 0; e < 16 && j < 5; ++e)
      if (!groups.contains(e / 4)) row[j++] = e;
    EXPECT_NE(ran.verdict({3}).why.find("below the last of the best"), std::string::npos) << ran.verdict({3}).why;
  }
}

// What the contract says of a reference that is asked for a few rows, for every op that does less then.
TEST(AskedRows, AreRightAndTheRestMayBeAnything) {
  for (const OpDef* op : all_ops()) {
    for (const OpCase& c : op->test_cases()) {
      const std::int64_t rows = c.integer("m", c.integer("tokens", c.integer("batch", 1) * c.integer("q_len", 1)));
      if (rows < 3 || rows > 40 || std::string_view(op->name).starts_with("grouped") ||
          op->name == std::string("moe_permute"))
        continue;
      SCOPED_TRACE(c.text());
      Runtime runtime(describe_cpu());
      GuardedCase data(*op, c, 1, runtime);
      data.fill(1);
      ReferenceOutputs whole, few;
      op->reference(c, data.with_outputs(whole));
      OpTensors asked = data.with_outputs(few);
      const std::vector<std::int64_t> some = {0, rows / 2, rows - 1};
      asked.ask({some});
      op->reference(c, asked);
      for (const auto& [name, y] : whole) {
        const Tensor &a = y.view(), &b = few.at(name).view();
        const bool cache = name.ends_with("_cache");  // written for all rows, whoever asks
        const std::int64_t width = a.elements() / (cache ? 1 : rows);
        if (!cache && a.elements() % rows != 0) continue;  // counts of experts
        for (const std::int64_t r : cache ? std::vector<std::int64_t>{0} : some)
          for (std::int64_t i = 0; i < width; ++i) ASSERT_EQ(a.load(r * width + i), b.load(r * width + i)) << name;
      }
    }
  }
}

}  // namespace
}  // namespace layercost

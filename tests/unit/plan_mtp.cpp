// Layers for multi-token prediction.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/measure/layer_check.h"
#include "harness/plan/counts.h"
#include "harness/plan/digest.h"
#include "harness/plan/expert_parallel.h"
#include "harness/spec/part_name.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;

ModelSpec golden(const char* name) {
  return read_model(std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/golden" / name);
}

// Published: 11.5 B parameters beside the shared embedding and head, 671 B without, 685 B in the repository, which has
// embedding and head twice (deepseek-ai/DeepSeek-V3, README_WEIGHTS.md); GLM-4.5 355 B with it.
TEST(Mtp, CountsAsPublished) {
  const ModelSpec v3 = find_model("deepseek-v3", kConfigs), glm = find_model("glm-4.5", kConfigs);
  // By hand: attention 187107328 (q_a, q_b, kv_a, kv_b, o and two norms of latents), 257 experts of 3 x 7168 x 2048,
  // router and its bias, two norms; the projection of 7168 x 14336 and three norms.
  const std::int64_t attention =
      7168 * 1536 + 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 + 512 * 128 * 256 + 128 * 128 * 7168;
  const std::int64_t layer = attention + std::int64_t{257} * 3 * 7168 * 2048 + 256 * 7168 + 256 + 2 * 7168;
  const MtpCount one = count_mtp_layer(v3, v3.mtp);
  EXPECT_EQ(one.total, layer + std::int64_t{7168} * 14336 + 3 * 7168);
  EXPECT_NEAR(static_cast<double>(one.total), 11.5e9, 0.01 * 11.5e9);
  const double copies = 2.0 * 7168 * 129280;
  EXPECT_NEAR(static_cast<double>(count_parameters(v3).total + one.total) + copies, 685e9, 0.002 * 685e9);
  EXPECT_EQ(one.active, one.total - std::int64_t{248} * 3 * 7168 * 2048);
  EXPECT_NEAR(static_cast<double>(count_parameters(glm).total + count_mtp_layer(glm, glm.mtp).total), 355e9,
              0.01 * 355e9);
}

TEST(Mtp, NoStepHasOneAndNoCountChanges) {
  const ModelSpec whole = find_model("deepseek-v3", kConfigs), m = find_model("deepseek-v3@mtp", kConfigs);
  EXPECT_EQ(whole.mtp_layers, 1);
  EXPECT_TRUE(contains(whole.notes.at(0), "num_nextn_predict_layers: 1 layer for multi-token prediction left out"));
  ASSERT_EQ(m.kinds.size(), whole.kinds.size() + 1);
  EXPECT_EQ(m.kinds.back().name, "mtp moe");
  EXPECT_EQ(m.name, "deepseek-v3@mtp");
  EXPECT_EQ(plan_layer(m, m.kinds.back(), {}).count, 0);
  EXPECT_EQ(count_parameters(m).total, count_parameters(whole).total);
  EXPECT_EQ(count_parameters(m).active, count_parameters(whole).active);
  EXPECT_EQ(kv_elements_per_token(m), kv_elements_per_token(whole));
  EXPECT_NE(model_digest(m), model_digest(whole));
  // fp8 as the config says, its projection too.
  StepShape s;
  s.weights = weights_by_config(m, DType::bf16);
  for (const WeightSpec& w : plan_layer(m, m.kinds.back(), s).weights)
    if (w.quantisable) {
      EXPECT_EQ(w.format->name, "fp8_block128") << w.name;
    }
  const ModelSpec shared = find_model("deepseek-v3@mtp@ep32", kConfigs);
  EXPECT_EQ(shared.kinds.back().name, "received mtp moe");
  EXPECT_EQ(shared.count_of(shared.kinds.back()), 0);
  EXPECT_TRUE(contains(bad_input([] { find_model("qwen3-4b@mtp", kConfigs); }), "--mtp: the config of qwen3-4b"));
}

TEST(Mtp, QwensHaveNamesOfTheirOwnAndFullAttention) {
  const ModelSpec m = find_model("qwen3.6-35b-a3b", kConfigs);
  ASSERT_EQ(m.mtp_layers, 1);
  EXPECT_EQ(m.mtp.name, "mtp moe");
  const LayerPlan plan = plan_layer(m, m.mtp, {});
  std::vector<std::string> tensors;
  for (const WeightSpec& w : plan.weights) tensors.push_back(w.sources.front().tensor);
  for (const char* tensor : {"mtp.pre_fc_norm_embedding.weight", "mtp.pre_fc_norm_hidden.weight", "mtp.fc.weight",
                             "mtp.norm.weight", "self_attn.q_proj.weight"})
    EXPECT_NE(std::find(tensors.begin(), tensors.end(), tensor), tensors.end()) << tensor;
}

std::vector<double> values(const Tensor& t) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < t.elements(); ++i) out.push_back(t.load(i));
  return out;
}
double error(const std::vector<double>& y, const std::vector<double>& expected) {
  double off = 0, all = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    off += (y[i] - expected[i]) * (y[i] - expected[i]), all += expected[i] * expected[i];
  return std::sqrt(off / all);
}
std::vector<double> norm(const std::vector<double>& x, const std::vector<double>& w, double eps) {
  std::vector<double> out(x.size());
  const std::size_t n = w.size();
  for (std::size_t row = 0; row < x.size(); row += n) {
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += x[row + i] * x[row + i];
    for (std::size_t i = 0; i < n; ++i)
      out[row + i] = x[row + i] / std::sqrt(squares / static_cast<double>(n) + eps) * w[i];
  }
  return out;
}

// By hand: norms of embedding and state, both side by side times a matrix of [hidden, 2 hidden]; the decoder layer of
// the model's own kind, which goldens prove, on what comes out; the last norm.
TEST(Mtp, IsNormsAProjectionOfBothAndALayer) {
  Runtime runtime(describe_cpu());
  for (const char* name : {"deepseek_v3_groups", "glm4_moe_norms"}) {
    SCOPED_TRACE(name);
    const ModelSpec m = golden(name);
    ASSERT_EQ(m.mtp_layers, 1);
    StepShape s;
    s.batch = 2, s.q_len = s.kv_len = s.capacity = 5;
    s.weights = WeightTypes::of(weight_format(DType::f32), DType::f32);
    s.activation_type = s.kv_type = DType::f32;
    const LayerPlan plan = plan_layer(m, m.mtp, s);
    EXPECT_FALSE(plan.adds_to_input);
    BufferSet buffers = shared_buffers(plan, runtime);
    buffers.merge(own_buffers(plan, 1, 0, runtime));
    fill_normal(runtime, buffers.at("input")->view(), 2);
    const WeightSet weights = synthetic_weights(plan, 7, 0);
    Layer layer(plan, weights, buffers, runtime);
    layer.run();

    const auto weight = [&](const char* w) { return values(weights.at(w)->whole().view()); };
    const std::size_t h = static_cast<std::size_t>(m.hidden), rows = 10;
    const std::vector<double> e = norm(values(layer.buffer("embedding")), weight("embedding_norm"), m.rms_norm_eps);
    const std::vector<double> n = norm(values(layer.buffer("input")), weight("hidden_norm"), m.rms_norm_eps);
    const std::vector<double> left = weight("projection_e_w"), right = weight("projection_h_w");
    std::vector<double> projected(rows * h);
    for (std::size_t t = 0; t < rows; ++t) {
      std::vector<double> pair(e.begin() + static_cast<std::ptrdiff_t>(t * h),
                               e.begin() + static_cast<std::ptrdiff_t>((t + 1) * h));
      pair.insert(pair.end(), n.begin() + static_cast<std::ptrdiff_t>(t * h),
                  n.begin() + static_cast<std::ptrdiff_t>((t + 1) * h));
      for (std::size_t i = 0; i < h; ++i)
        for (std::size_t k = 0; k < 2 * h; ++k)
          projected[t * h + i] += pair[k] * (k < h ? left[i * h + k] : right[i * h + k - h]);
    }
    EXPECT_LT(error(values(layer.buffer("projected pair")), projected), 1e-5);
    // The first columns are the embedding's.
    const auto source = [&](const char* w) {
      return std::find_if(plan.weights.begin(), plan.weights.end(), [&](const auto& x) { return x.name == w; })
          ->sources.front();
    };
    EXPECT_EQ(source("projection_e_w").first_column, 0);
    EXPECT_EQ(source("projection_h_w").first_column, m.hidden);

    const LayerKind& own = m.kinds.back();
    EXPECT_EQ(m.mtp.name, std::string(kMtpPart) + own.name);
    const LayerPlan decoder = plan_layer(m, own, s);
    BufferSet others = shared_buffers(decoder, runtime);
    others.merge(own_buffers(decoder, 1, 0, runtime));
    Layer plain(decoder, weights, others, runtime);
    const Tensor& in = plain.buffer(BufferRole::input);
    for (std::size_t i = 0; i < projected.size(); ++i) in.store(static_cast<std::int64_t>(i), projected[i]);
    plain.run();
    const std::vector<double> last =
        norm(values(plain.buffer(BufferRole::output)), weight("last_norm"), m.rms_norm_eps);
    EXPECT_LT(error(values(layer.buffer(BufferRole::output)), last), 1e-5);

    std::vector<std::int64_t> all(rows);
    std::iota(all.begin(), all.end(), 0);
    Verdict right_one, wrong;
    check_layer(layer, all, right_one);
    EXPECT_TRUE(right_one.ok) << right_one.why;
    const Tensor& t = layer.buffer("embedding");
    std::swap_ranges(t.as<float>(), t.as<float>() + m.hidden, t.as<float>() + m.hidden);
    check_layer(layer, all, wrong);
    EXPECT_FALSE(wrong.ok) << "as if two tokens had got each other's embedding";
  }
}

}  // namespace
}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "harness/plan/counts.h"
#include "harness/plan/digest.h"
#include "harness/plan/layer_builder.h"
#include "harness/plan/layer_keys.h"
#include "harness/spec/json_reader.h"
#include "kernels/contract/registry.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;
using testing::TempDir;
using Json = nlohmann::json;

Json tiny(const std::string& model_type) {
  Json config = {{"model_type", model_type},   {"hidden_size", 64},
                 {"num_hidden_layers", 4},     {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},   {"intermediate_size", 96},
                 {"vocab_size", 100},          {"hidden_act", "silu"},
                 {"rms_norm_eps", 1e-5},       {"max_position_embeddings", 512},
                 {"tie_word_embeddings", true}};
  if (model_type == "mixtral") config.update({{"num_local_experts", 8}, {"num_experts_per_tok", 2}});
  if (model_type == "qwen3_moe") {
    config.update(
        {{"num_experts", 8}, {"num_experts_per_tok", 2}, {"moe_intermediate_size", 32}, {"norm_topk_prob", true}});
  }
  if (model_type.starts_with("deepseek") || model_type == "kimi_k2" || model_type == "glm_moe_dsa") {
    config.update({{"num_key_value_heads", 4},
                   {"q_lora_rank", 24},
                   {"kv_lora_rank", 32},
                   {"qk_nope_head_dim", 16},
                   {"qk_rope_head_dim", 8},
                   {"v_head_dim", 12},
                   {"n_routed_experts", 16},
                   {"n_shared_experts", 2},
                   {"num_experts_per_tok", 3},
                   {"moe_intermediate_size", 20},
                   {"first_k_dense_replace", 1},
                   {"n_group", 4},
                   {"topk_group", 2}});
  }
  if (model_type == "deepseek_v32" || model_type == "glm_moe_dsa")
    config.update({{"index_topk", 6}, {"index_n_heads", 5}, {"index_head_dim", 14}});
  if (model_type == "glm4_moe") {
    config.update({{"head_dim", 16},
                   {"n_routed_experts", 16},
                   {"n_shared_experts", 2},
                   {"num_experts_per_tok", 3},
                   {"moe_intermediate_size", 20},
                   {"first_k_dense_replace", 1},
                   {"partial_rotary_factor", 0.5}});
  }
  if (model_type == "ernie4_5_moe") {
    config.update({{"moe_num_experts", 16},
                   {"moe_k", 3},
                   {"moe_intermediate_size", 20},
                   {"moe_num_shared_experts", 2},
                   {"moe_layer_start_index", 1}});
  }
  if (model_type == "olmoe") config.update({{"num_experts", 16}, {"num_experts_per_tok", 3}});
  if (model_type == "minimax_m2") {
    config.update({{"head_dim", 20}, {"rotary_dim", 8}, {"num_local_experts", 16}, {"num_experts_per_tok", 3}});
  }
  if (model_type.starts_with("minimax_text") || model_type == "minimax") {
    config.update({{"head_dim", 16}, {"num_local_experts", 8}, {"num_experts_per_tok", 2}});
  }
  if (model_type == "minimax") {
    config.update({{"layer_types", {"linear_attention", "linear_attention", "linear_attention", "full_attention"}},
                   {"full_attn_alpha_factor", 3.5},
                   {"linear_attn_alpha_factor", 2.5},
                   {"linear_attn_beta_factor", 0.5},
                   {"mlp_alpha_factor", 1.5}});
  }
  if (model_type == "minimax_text_01") {
    config.update({{"attn_type_list", {0, 0, 0, 1}},
                   {"rotary_dim", 8},
                   {"postnorm", true},
                   {"layernorm_linear_attention_alpha", 3.5},
                   {"layernorm_mlp_beta", 0.5}});
  }
  if (model_type == "gpt_oss") {
    config.update(
        {{"head_dim", 16},
         {"num_local_experts", 16},
         {"num_experts_per_tok", 3},
         {"sliding_window", 7},
         {"layer_types", {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}},
         {"rope_scaling",
          {{"rope_type", "yarn"}, {"factor", 32.0}, {"truncate", false}, {"original_max_position_embeddings", 4096}}}});
  }
  if (model_type == "ministral") config.update({{"head_dim", 16}, {"sliding_window", 7}});
  if (model_type == "ministral3") {
    config.update({{"head_dim", 16},
                   {"rope_parameters",
                    {{"rope_theta", 1e4}, {"llama_4_scaling_beta", 0.1}, {"original_max_position_embeddings", 64}}}});
  }
  if (model_type == "llama4") {
    config.update({{"head_dim", 16},
                   {"num_local_experts", 8},
                   {"num_experts_per_tok", 1},
                   {"intermediate_size_mlp", 160},
                   {"interleave_moe_layer_step", 2},
                   {"attention_chunk_size", 32}});
  }
  if (model_type == "gemma4") {
    config.erase("hidden_act");
    config.update({{"head_dim", 16},
                   {"global_head_dim", 32},
                   {"num_global_key_value_heads", 1},
                   {"attention_k_eq_v", true},
                   {"hidden_size_per_layer_input", 0},
                   {"enable_moe_block", true},
                   {"num_experts", 8},
                   {"top_k_experts", 2},
                   {"moe_intermediate_size", 20},
                   {"sliding_window", 7},
                   {"layer_types", {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}}});
  }
  if (model_type == "hunyuan_v1_moe") config.update({{"head_dim", 16}, {"num_experts", 16}, {"moe_topk", 3}});
  if (model_type == "qwen3_next" || model_type.starts_with("qwen3_5")) {
    config.update({{"head_dim", 16},
                   {"linear_num_key_heads", 2},
                   {"linear_num_value_heads", 6},
                   {"linear_key_head_dim", 8},
                   {"linear_value_head_dim", 10},
                   {"linear_conv_kernel_dim", 4},
                   {"partial_rotary_factor", 0.25}});
  }
  if (model_type == "qwen3_next" || model_type == "qwen3_5_moe") {
    config.update({{"num_experts", 8},
                   {"num_experts_per_tok", 2},
                   {"moe_intermediate_size", 20},
                   {"shared_expert_intermediate_size", 24}});
  }
  return config;
}

Json with(Json config, const Json& change) {
  config.merge_patch(change);  // null removes a key
  return config;
}

ModelSpec read(const Json& config) {
  TempDir dir;
  return read_model(dir.write("tiny/config.json", config.dump()));
}

// What a model's layers are is read off their plans, which is what is measured.
LayerPlan plan_of(const ModelSpec& m, std::int64_t layer = 0) { return plan_layer(m, m.layer(layer), {}); }
bool has_op(const LayerPlan& plan, const std::string& component) {
  return std::any_of(plan.ops.begin(), plan.ops.end(), [&](const auto& p) { return p.component == component; });
}
OpCase op_case(const ModelSpec& m, const std::string& component, std::int64_t layer = 0) {
  for (const PlannedOp& p : plan_of(m, layer).ops)
    if (p.component == component) return p.op_case;
  ADD_FAILURE() << "no " << component;
  return {};
}
std::int64_t kv_heads(const ModelSpec& m) { return op_case(m, "rope").axis("kv_heads"); }
std::int64_t head_dim(const ModelSpec& m) { return op_case(m, "rope").axis("head_dim"); }
RotarySpec rotary(const ModelSpec& m) { return plan_of(m).rotary; }
bool qk_norm(const ModelSpec& m) { return op_case(m, "rope").word("qk_norm", "0") == "1"; }
bool renormalises(const ModelSpec& m) { return op_case(m, "route").flag("renormalise"); }
std::int64_t expert_width(const ModelSpec& m) { return op_case(m, "experts").axis("ffn_hidden"); }
bool has_bias(const ModelSpec& m, const std::string& component) { return op_case(m, component).flag("bias"); }
// The checkpoint's tensors behind one weight of the plan.
std::vector<std::string> tensors(const ModelSpec& m, const std::string& weight) {
  std::vector<std::string> names;
  for (const WeightSpec& w : plan_of(m).weights)
    if (w.name == weight)
      for (const auto& s : w.sources) names.push_back(s.tensor);
  return names;
}

std::vector<std::int64_t> windows(const ModelSpec& m) {
  std::vector<std::int64_t> list;
  for (std::int64_t i = 0; i < m.layers; ++i) list.push_back(op_case(m, "attention", i).integer("window", 0));
  return list;
}
std::vector<bool> moe_layers(const ModelSpec& m) {
  std::vector<bool> list;
  for (std::int64_t i = 0; i < m.layers; ++i) list.push_back(has_op(plan_of(m, i), "experts"));
  return list;
}
using Windows = std::vector<std::int64_t>;
using Moes = std::vector<bool>;

// Parameter counts in billions to three digits and bytes of KV per token in bf16, computed by hand from the published
// shapes; and the exact total of the class in transformers 5.23, built from the shipped config on the meta device.
// Neither comes from this program. A new model needs no row here: its sidecar is tested below.
struct Published {
  const char* name;
  std::int64_t exact_total;
  double total, active, active_layers;
  std::int64_t kv_bytes;
};
const Published kPublished[] = {
    {"qwen3-0.6b", 596049920, 0.596, 0.596, 0.440, 114688},
    {"qwen3-1.7b", 1720574976, 1.721, 1.721, 1.409, 114688},
    {"qwen3-4b", 4022468096, 4.022, 4.022, 3.634, 147456},
    {"qwen3-8b", 8190735360, 8.191, 7.568, 6.946, 147456},
    {"qwen3-14b", 14768307200, 14.768, 13.990, 13.212, 163840},
    {"qwen3-32b", 32762123264, 32.762, 31.984, 31.206, 262144},
    {"qwen3-30b-a3b", 30532122624, 30.532, 3.042, 2.731, 98304},
    {"qwen3-235b-a22b", 235093634560, 235.094, 21.568, 20.946, 192512},
    {"qwen3-coder-480b-a35b-instruct", 480154875392, 480.155, 34.541, 33.608, 253952},
    {"qwen2.5-72b", 72706203648, 72.706, 71.460, 70.215, 327680},
    {"llama-3.1-8b", 8030261248, 8.030, 7.505, 6.980, 131072},
    {"llama-3.1-70b", 70553706496, 70.554, 69.503, 68.452, 327680},
    {"llama-3.1-405b", 405853388800, 405.853, 403.752, 401.651, 516096},
    {"mixtral-8x7b-v0.1", 46702792704, 46.703, 12.749, 12.618, 131072},
    {"mixtral-8x22b-v0.1", 140620634112, 140.621, 38.955, 38.759, 229376},
    // With the routers' correction biases, which that class counts among its buffers.
    {"deepseek-v2-lite", 15706484224, 15.706, 2.451, 2.242, 31104},
    {"deepseek-v3", 671026419200, 671.026, 36.626, 35.699, 70272},
    {"deepseek-r1-0528", 671026419200, 671.026, 36.626, 35.699, 70272},
    {"deepseek-v3.2", 671877944064, 671.878, 37.477, 36.550, 85888},
    {"glm-5", 743911218432, 743.911, 40.833, 39.882, 109824},
    {"glm-5.2", 743377019904, 743.377, 40.299, 39.347, 95232},
    {"kimi-k2-instruct", 1026408232448, 1026.408, 31.687, 30.513, 70272},
    {"moonlight-16b-a3b", 15960110208, 15.960, 2.579, 2.244, 31104},
    {"glm-4.5", 352797829024, 352.798, 32.856, 32.080, 376832},
    {"glm-4.5-air", 106852251264, 106.852, 12.803, 12.183, 188416},
    {"qwen3-next-80b-a3b-instruct", 79674391296, 79.674, 3.564, 3.253, 24576},
    // The language part.
    {"qwen3.5-27b", 26895998464, 26.896, 25.625, 24.353, 65536},
    {"qwen3.5-35b-a3b", 34660610688, 34.661, 2.946, 2.438, 20480},
    {"qwen3.5-397b-a17b", 396346350336, 396.346, 16.332, 15.315, 30720},
    {"ernie-4.5-21b-a3b-pt", 21825437888, 21.825, 3.352, 3.087, 57344},
    {"minimax-text-01", 456089655296, 456.090, 47.174, 45.945, 40960},
    {"minimax-m2.5", 228689764864, 228.690, 10.416, 9.801, 253952},
    {"hunyuan-a13b-instruct", 80393183232, 80.393, 12.747, 12.222, 131072},
    {"olmoe-1b-7b-0924", 6919161856, 6.919, 1.179, 1.076, 131072},
    {"gpt-oss-20b", 20914757184, 20.915, 3.608, 3.029, 49152},
    {"llama-4-maverick-17b-128e-instruct", 400711848960, 400.712, 16.150, 15.116, 196608},
    {"llama-4-scout-17b-16e-instruct", 107769861120, 107.770, 16.138, 15.104, 196608},
    {"mistral-7b-v0.1", 7241732096, 7.242, 7.111, 6.980, 131072},
    {"mistral-small-24b-instruct-2501", 23572403200, 23.572, 22.901, 22.230, 163840},
    {"ministral-3-8b-instruct-2512", 8489553920, 8.490, 7.953, 7.416, 139264},
    {"gemma-4-31b-it", 30697345340, 30.697, 30.697, 29.288, 901120},
    {"gemma-4-26b-a4b-it", 25233141790, 25.233, 3.823, 3.084, 225280},
    {"gpt-oss-120b", 116829156672, 116.829, 5.133, 4.554, 73728},
};

std::string billions(std::int64_t count) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(count) / 1e9);
  return text;
}
std::string billions(double count) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", count);
  return text;
}

TEST(ShippedModels, ReproduceThePublishedCounts) {
  for (const Published& row : kPublished) {
    SCOPED_TRACE(row.name);
    const ModelSpec spec = find_model(row.name, kConfigs);
    const ParameterCount count = count_parameters(spec);
    EXPECT_EQ(count.total, row.exact_total);
    EXPECT_EQ(billions(count.total), billions(row.total));
    EXPECT_EQ(billions(count.active), billions(row.active));
    EXPECT_EQ(billions(count.active_layers), billions(row.active_layers));
    EXPECT_EQ(2 * kv_elements_per_token(spec), row.kv_bytes);
    for (const std::string& note : spec.notes)
      EXPECT_TRUE(contains(note, "multi-token prediction left out") || contains(note, "the language part alone") ||
                  contains(note, "final_logit_softcapping") || contains(note, "attention_chunk_size"))
          << note;
  }
}

TEST(ShippedModels, SayWhereTheyComeFromAndWhatTheyWeigh) {
  const std::vector<std::string> listed = list_models(kConfigs);
  EXPECT_GE(listed.size(), std::size(kPublished));
  for (const std::string& name : listed) {
    SCOPED_TRACE(name);
    const ModelSpec spec = find_model(name, kConfigs);
    std::filesystem::path sidecar = spec.path;
    sidecar.replace_extension(".source.json");
    const JsonNode node = read_json(sidecar);
    EXPECT_EQ(node.get_string("id"), spec.id);
    EXPECT_NE(node.get_string("source", 400), "");
    EXPECT_NE(node.get_string("collected_by"), "");
    const double published = node.get_number("published_total_parameters", 1e8, 1e13);
    // Names round to one or two digits: "1.7B" stands for 1.721.
    EXPECT_NEAR(static_cast<double>(count_parameters(spec).total), published, 0.015 * published);
    EXPECT_EQ(node.get_int("kv_bytes_per_token_bf16", 1, 1 << 30), 2 * kv_elements_per_token(spec));
    if (const auto active = node.find_number("published_active_parameters", 1e8, 1e13)) {
      EXPECT_NEAR(static_cast<double>(count_parameters(spec).active), *active,
                  0.09 * *active);  // 3.3B includes the embedding
    }
  }
}

TEST(ShippedModels, HaveTheShapesOfTheirConfig) {
  const ModelSpec moe = find_model("Qwen/Qwen3-30B-A3B", kConfigs);
  EXPECT_EQ(moe.name, "qwen3-30b-a3b");
  EXPECT_EQ(moe.id, "Qwen/Qwen3-30B-A3B");
  EXPECT_EQ(moe.hidden, 2048);
  EXPECT_EQ(moe.layers, 48);
  EXPECT_EQ(op_case(moe, "o").axis("k"), 4096);  // 32 x 128, twice the hidden size
  EXPECT_EQ(kv_heads(moe) * head_dim(moe), 512);
  ASSERT_EQ(moe.kinds.size(), 1u);  // intermediate_size 6144 is unused: no layer is dense
  EXPECT_EQ(moe.experts, (ExpertChoice{128, 8}));
  EXPECT_EQ(expert_width(moe), 768);
  EXPECT_TRUE(renormalises(moe));
  EXPECT_EQ(tensors(moe, "experts_down").back(), "mlp.experts.127.down_proj.weight");
  EXPECT_EQ(tensors(moe, "experts_gate_up")[3], "mlp.experts.1.up_proj.weight");
  EXPECT_TRUE(qk_norm(moe));
  EXPECT_FALSE(has_bias(moe, "qkv") || has_bias(moe, "o"));
  EXPECT_EQ(rotary(moe).theta, 1e6);

  const ModelSpec llama = find_model("LLAMA-3.1-8b", kConfigs);
  EXPECT_EQ(head_dim(llama), 128);
  EXPECT_EQ(rotary(llama).kind, RotarySpec::Kind::llama3);
  EXPECT_EQ(rotary(llama).theta, 5e5);
  EXPECT_EQ(rotary(llama).factor, 8.0);
  EXPECT_EQ(rotary(llama).low_freq_factor, 1.0);
  EXPECT_EQ(rotary(llama).high_freq_factor, 4.0);
  EXPECT_EQ(rotary(llama).original_max_position, 8192);
  EXPECT_EQ(llama.rms_norm_eps, 1e-5);

  const ModelSpec mixtral = find_model("mixtral-8x7b-v0.1", kConfigs);
  EXPECT_EQ(expert_width(mixtral), 14336);
  EXPECT_EQ(tensors(mixtral, "experts_down").front(), "block_sparse_moe.experts.0.w2.weight");
  EXPECT_EQ(tensors(mixtral, "experts_gate_up")[0], "block_sparse_moe.experts.0.w1.weight");
  EXPECT_EQ(tensors(mixtral, "experts_gate_up")[1], "block_sparse_moe.experts.0.w3.weight");

  const ModelSpec qwen2 = find_model("qwen2.5-72b", kConfigs);
  EXPECT_TRUE(has_bias(qwen2, "qkv"));
  EXPECT_FALSE(has_bias(qwen2, "o") || qk_norm(qwen2));
  EXPECT_EQ(head_dim(find_model("qwen3-4b", kConfigs)), 128);  // not 2560 / 32 = 80
}

TEST(LayerKeys, ThatAFamilyDoesNotReadAreRefusedUnlessNeutral) {
  const auto message = [](const char* type, const char* key, const Json& value) {
    Json config = tiny(type);
    config[key] = value;
    return bad_input([&] { read(config); });
  };
  const std::string capped = message("llama", "attn_logit_softcapping", 50.0);
  for (const char* piece : {"attn_logit_softcapping: 50.0 changes", "tanh", "model_type llama", "expected null"})
    EXPECT_TRUE(contains(capped, piece)) << capped;
  EXPECT_TRUE(contains(message("qwen3", "kv_lora_rank", 512), "expected 0, null or no such key"));
  EXPECT_TRUE(contains(message("qwen3_moe", "n_shared_experts", 1), "n_shared_experts: 1"));
  EXPECT_TRUE(contains(message("qwen2", "attention_bias", true), "attention_bias: true"));
  EXPECT_TRUE(contains(message("llama", "final_logit_softcapping", 30), "final_logit_softcapping: 30"));
  EXPECT_TRUE(contains(message("llama", "num_experts", 8), "num_experts: 8"));
  EXPECT_TRUE(contains(message("qwen3_moe", "use_qk_norm", false), "always norms"));
  for (const auto& [key, neutral] : std::vector<std::pair<const char*, Json>>{{"attn_logit_softcapping", nullptr},
                                                                              {"kv_lora_rank", 0},
                                                                              {"attention_bias", false},
                                                                              {"residual_multiplier", 1.0},
                                                                              {"no_rope_layers", Json::array()},
                                                                              {"hidden_activation", "silu"},
                                                                              {"num_experts", 0},
                                                                              {"vision_thing", 3}}) {
    Json config = tiny("qwen2");
    config[key] = neutral;
    EXPECT_NO_THROW(read(config)) << key;
  }
  Json biased = tiny("llama");  // which reads it
  biased["attention_bias"] = true;
  EXPECT_NO_THROW(read(biased));
}

// Something that no key is neutral with: every row refuses it in some family.
TEST(LayerKeys, EachRowRefuses) {
  for (const LayerKey& row : layer_keys()) {
    Json config = tiny("mixtral");
    config[std::string(row.key)] = Json::array({7});
    EXPECT_TRUE(contains(bad_input([&] { read(config); }), std::string(row.key))) << row.key;
  }
}

TEST(ModelNames, AreFoundWhateverTheCaseAndMisspellingsAreAnswered) {
  EXPECT_EQ(find_model("QWEN3-4B", kConfigs).name, "qwen3-4b");
  EXPECT_EQ(find_model("qwen/QWEN3-4b", kConfigs).name, "qwen3-4b");
  EXPECT_TRUE(contains(bad_input([] { find_model("qwne3-4b", kConfigs); }), "did you mean 'qwen3-4b'?"));
  EXPECT_TRUE(contains(bad_input([] { find_model("Qwen/Qwen3-4C", kConfigs); }), "did you mean 'Qwen/Qwen3-4B'?"));
  EXPECT_TRUE(contains(bad_input([] { find_model("", kConfigs); }), "neither a file nor one of"));
  EXPECT_TRUE(contains(bad_input([] { find_model("qwen3-4b", "/nonexistent"); }), "/nonexistent/models"));
}

TEST(ModelNames, OfForeignConfigsAreTheirFolders) {
  TempDir dir;
  const auto file = dir.write("my-model/config.json", tiny("llama").dump());
  EXPECT_EQ(read_model(file).name, "my-model");
  EXPECT_EQ(read_model(file.parent_path()).name, "my-model");
  EXPECT_EQ(read_model(file).id, "");
  EXPECT_EQ(find_model(file.string(), kConfigs).name, "my-model");
  EXPECT_EQ(read_model(dir.write("other.json", tiny("llama").dump())).name, "other");
  const auto cached = dir.write("models--Org--Some-Model/snapshots/0123abcd/config.json", tiny("llama").dump());
  EXPECT_EQ(read_model(cached).name, "some-model");
  EXPECT_EQ(read_model(cached).id, "Org/Some-Model");
  EXPECT_EQ(read_model(dir.write("bad\x1b\nname/config.json", tiny("llama").dump())).name, "bad??name");
}

TEST(ModelNames, OfShippedFilesMustBeUniqueAndWellFormed) {
  TempDir dir;
  dir.write("models/A--Same.json", tiny("llama").dump());
  EXPECT_EQ(find_model("same", dir.path()).id, "A/Same");
  dir.write("models/A--Same.source.json", "{}");  // no model
  EXPECT_EQ(list_models(dir.path()), std::vector<std::string>{"same"});
  dir.write("models/B--SAME.json", tiny("llama").dump());
  EXPECT_TRUE(contains(bad_input([&] { list_models(dir.path()); }), "is taken by"));
  TempDir other;
  other.write("models/noorg.json", "{}");
  EXPECT_TRUE(contains(bad_input([&] { list_models(other.path()); }), "Org--Name.json"));
}

// count of the tiny llama by hand: hidden 64, q 64, kv 32, ffn 96, vocab 100, 4 layers, tied
TEST(ParameterCount, MatchesAHandCount) {
  constexpr std::int64_t attention = 64 * 64 + 2 * 64 * 32 + 64 * 64;  // 12288
  constexpr std::int64_t mlp = 3 * 64 * 96;                            // 18432
  constexpr std::int64_t layer = attention + mlp + 2 * 64;
  const ParameterCount tied = count_parameters(read(tiny("llama")));
  EXPECT_EQ(tied.active_layers, 4 * layer);
  EXPECT_EQ(tied.active, 4 * layer + 64 + 6400);
  EXPECT_EQ(tied.total, tied.active);
  const ParameterCount untied = count_parameters(read(with(tiny("llama"), {{"tie_word_embeddings", false}})));
  EXPECT_EQ(untied.active, tied.active);
  EXPECT_EQ(untied.total, tied.total + 6400);

  const ParameterCount biased =
      count_parameters(read(with(tiny("llama"), {{"attention_bias", true}, {"mlp_bias", true}})));
  EXPECT_EQ(biased.active_layers - tied.active_layers, 4 * ((64 + 2 * 32 + 64) + (2 * 96 + 64)));
  const ParameterCount qwen2 = count_parameters(read(tiny("qwen2")));
  EXPECT_EQ(qwen2.active_layers - tied.active_layers, 4 * (64 + 2 * 32));
  const ParameterCount qwen3 = count_parameters(read(with(tiny("qwen3"), {{"head_dim", 16}})));
  EXPECT_EQ(qwen3.active_layers - tied.active_layers, 4 * 2 * 16);

  // Layer 1 dense, the others 2 of 8 experts of width 32, router 64 x 8, q and k norms.
  const ParameterCount moe = count_parameters(read(with(tiny("qwen3_moe"), {{"mlp_only_layers", {1}}})));
  constexpr std::int64_t expert = 3 * 64 * 32, common = attention + 2 * 64 + 2 * 16;
  EXPECT_EQ(moe.active_layers, 4 * common + mlp + 3 * (64 * 8 + 2 * expert));
  EXPECT_EQ(moe.total, 4 * common + mlp + 3 * (64 * 8 + 8 * expert) + 64 + 6400);
  EXPECT_EQ(kv_elements_per_token(read(tiny("llama"))), 2 * 4 * 32);
}

TEST(ParameterCount, ClampsInsteadOfWrapping) {
  const auto total = [](int layers, std::int64_t width) {
    ModelSpec m;
    m.hidden = std::int64_t{1} << 40;
    m.vocab = 1;
    for (int i = 0; i < layers; ++i)
      m.add_layer("wide", [=](LayerBuilder& b) {
        for (const char* name : {"a", "b", "c"}) b.matrix(name, {width, std::int64_t{1} << 40}, {});
      });
    return count_parameters(m).total;
  };
  EXPECT_LT(total(1, std::int64_t{1} << 20), INT64_MAX);  // 3 x 2^60 fits, four layers of it do not
  EXPECT_EQ(total(4, std::int64_t{1} << 20), INT64_MAX);
  EXPECT_EQ(total(1, std::int64_t{1} << 22), INT64_MAX);  // 3 x 2^62
}

TEST(Families, DefaultsAreThoseOfTransformers) {
  const Json absent = {{"num_key_value_heads", nullptr},
                       {"rms_norm_eps", nullptr},
                       {"hidden_act", nullptr},
                       {"tie_word_embeddings", nullptr},
                       {"max_position_embeddings", nullptr}};
  const ModelSpec llama = read(with(tiny("llama"), absent));
  EXPECT_EQ(kv_heads(llama), 4);
  EXPECT_EQ(head_dim(llama), 16);
  EXPECT_EQ(llama.rms_norm_eps, 1e-6);
  EXPECT_EQ(rotary(llama).theta, 1e4);
  EXPECT_EQ(llama.max_position, 0);
  EXPECT_FALSE(llama.tied_embeddings);
  EXPECT_TRUE(llama.notes.empty());

  // The other classes have a number of their own; it only fits some shapes, and is always noted.
  const ModelSpec mixtral = read(with(with(tiny("mixtral"), absent), {{"num_attention_heads", 8}}));
  EXPECT_EQ(kv_heads(mixtral), 8);
  EXPECT_EQ(mixtral.rms_norm_eps, 1e-5);
  EXPECT_EQ(rotary(mixtral).theta, 1e6);
  EXPECT_TRUE(renormalises(mixtral));
  ASSERT_EQ(mixtral.notes.size(), 1u);
  EXPECT_TRUE(contains(mixtral.notes[0], "num_key_value_heads"));
  EXPECT_EQ(kv_heads(read(with(with(tiny("qwen2"), absent), {{"num_attention_heads", 32}}))), 32);
  EXPECT_EQ(kv_heads(read(with(tiny("qwen3_moe"), absent))), 4);
  EXPECT_TRUE(contains(bad_input([&] { read(with(tiny("qwen2"), absent)); }), "num_key_value_heads"));

  EXPECT_EQ(head_dim(read(tiny("qwen3"))), 128);  // a default of the class, not 64 / 4
  EXPECT_EQ(read(tiny("qwen3")).notes.size(), 1u);
  EXPECT_EQ(head_dim(read(tiny("qwen3_moe"))), 16);
  EXPECT_FALSE(renormalises(read(with(tiny("qwen3_moe"), {{"norm_topk_prob", nullptr}}))));
}

TEST(Families, ExplicitNullCountsAsAbsentForOptionalKeys) {
  Json config = tiny("llama");
  for (const char* key :
       {"num_key_value_heads", "head_dim", "rope_scaling", "rope_parameters", "attention_bias", "mlp_bias",
        "sliding_window", "layer_types", "quantization_config", "compression_config", "quantization", "text_config",
        "hidden_act", "tie_word_embeddings", "rms_norm_eps", "max_position_embeddings"}) {
    config[key] = nullptr;
  }
  const ModelSpec spec = read(config);
  EXPECT_EQ(kv_heads(spec), 4);
  EXPECT_TRUE(spec.notes.empty());
}

TEST(Families, BiasesFollowTheFamily) {
  const Json attention = {{"attention_bias", true}, {"head_dim", 16}}, mlp = {{"mlp_bias", true}, {"head_dim", 16}},
             none = {{"head_dim", 16}};
  const auto bits = [](const char* type, Json keys) {
    if (std::string(type) == "llama") keys["mlp_bias"] = true;
    const ModelSpec spec = read(with(tiny(type), keys));
    return std::vector<bool>{has_bias(spec, "qkv"), has_bias(spec, "o"),
                             has_op(plan_of(spec), "down") && has_bias(spec, "down")};
  };
  EXPECT_EQ(bits("llama", attention), (std::vector<bool>{true, true, true}));
  EXPECT_EQ(bits("qwen2", none), (std::vector<bool>{true, false, false}));
  EXPECT_EQ(bits("qwen3", attention), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(bits("qwen3_moe", attention), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(bits("mixtral", none), (std::vector<bool>{false, false, false}));
  // transformers ignores them in these classes; whoever wrote them had another layer in mind.
  for (const auto& [type, keys] : std::vector<std::pair<const char*, Json>>{
           {"qwen2", attention}, {"mixtral", attention}, {"qwen2", mlp}, {"qwen3", mlp}, {"qwen3_moe", mlp}})
    EXPECT_THROW(read(with(tiny(type), keys)), BadInput) << type;
}

TEST(Families, WindowsFollowTheFamily) {
  const Json on = {{"use_sliding_window", true}, {"sliding_window", 32}, {"max_window_layers", 1}, {"head_dim", 16}};
  EXPECT_EQ(windows(read(with(tiny("llama"), on))), (Windows{0, 0, 0, 0}));
  EXPECT_EQ(windows(read(with(tiny("qwen2"), on))), (Windows{0, 32, 32, 32}));
  EXPECT_EQ(windows(read(with(tiny("qwen3"), on))), (Windows{0, 32, 32, 32}));
  EXPECT_EQ(windows(read(with(tiny("qwen3_moe"), on))), (Windows{32, 32, 32, 32}));  // does not read max_window_layers
  EXPECT_EQ(windows(read(with(tiny("mixtral"), on))), (Windows{32, 32, 32, 32}));
  EXPECT_EQ(windows(read(with(tiny("mixtral"), {{"sliding_window", 32}}))), (Windows{32, 32, 32, 32}));
  EXPECT_EQ(windows(read(tiny("mixtral"))), (Windows{0, 0, 0, 0}));
  for (const char* type : {"qwen2", "qwen3", "qwen3_moe"}) {
    EXPECT_EQ(windows(read(with(with(tiny(type), on), {{"use_sliding_window", false}}))), (Windows{0, 0, 0, 0}))
        << type;
  }
  // max_window_layers is 28 when absent; sliding_window is 4096.
  EXPECT_EQ(windows(read(with(with(tiny("qwen2"), on), {{"max_window_layers", nullptr}}))), (Windows{0, 0, 0, 0}));
  EXPECT_EQ(windows(read(with(with(tiny("qwen2"), on), {{"sliding_window", nullptr}}))),
            (Windows{0, 4096, 4096, 4096}));
  Json null_window = with(tiny("qwen2"), on);
  null_window["sliding_window"] = nullptr;  // written, as null: no window
  EXPECT_EQ(windows(read(null_window)), (Windows{0, 0, 0, 0}));

  const Json types = {{"layer_types", {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}}};
  EXPECT_EQ(windows(read(with(with(tiny("qwen3"), on), types))), (Windows{32, 0, 32, 0}));
  EXPECT_TRUE(contains(bad_input([&] { read(with(tiny("qwen3"), types)); }), "layer_types[0]"));  // switched off
  EXPECT_TRUE(contains(bad_input([&] { read(with(with(tiny("qwen3_moe"), on), types)); }), "layer_types[1]"));
  EXPECT_EQ(windows(read(with(tiny("llama"), {{"layer_types", Json(std::vector<std::string>(4, "full_attention"))}}))),
            (Windows{0, 0, 0, 0}));
}

TEST(Families, ExpertLayersFollowStepAndList) {
  EXPECT_EQ(moe_layers(read(tiny("qwen3_moe"))), (Moes{true, true, true, true}));
  EXPECT_EQ(moe_layers(read(with(tiny("qwen3_moe"), {{"decoder_sparse_step", 2}}))), (Moes{false, true, false, true}));
  const ModelSpec mixed = read(with(tiny("qwen3_moe"), {{"mlp_only_layers", {0, 3}}}));
  EXPECT_EQ(moe_layers(mixed), (Moes{false, true, true, false}));
  EXPECT_EQ(op_case(mixed, "glu").axis("ffn_hidden"), 96);
  const ModelSpec none = read(with(tiny("qwen3_moe"), {{"decoder_sparse_step", 5}}));
  EXPECT_EQ(moe_layers(none), (Moes{false, false, false, false}));
  EXPECT_FALSE(none.experts);
  EXPECT_EQ(none.notes.size(), 1u);
  // intermediate_size may be missing where no layer is dense.
  EXPECT_EQ(read(with(tiny("qwen3_moe"), {{"intermediate_size", nullptr}})).kinds.size(), 1u);
}

TEST(Families, ExpertCountHasTwoNames) {
  EXPECT_EQ(read(with(tiny("qwen3_moe"), {{"num_experts", nullptr}, {"num_local_experts", 16}})).experts->experts, 16);
  EXPECT_EQ(read(with(tiny("qwen3_moe"), {{"num_local_experts", 8}})).experts->experts, 8);
  EXPECT_EQ(read(with(tiny("mixtral"), {{"num_local_experts", nullptr}, {"num_experts", 4}})).experts->experts, 4);
  EXPECT_TRUE(contains(bad_input([&] { read(with(tiny("qwen3_moe"), {{"num_local_experts", 9}})); }), "num_experts"));
}

TEST(Latent, DecodeIsAbsorbedAndAPromptExpanded) {
  const ModelSpec m = read(tiny("deepseek_v3"));
  ASSERT_EQ(m.kinds.size(), 2u);
  EXPECT_EQ(moe_layers(m), (Moes{false, true, true, true}));
  const auto components = [](const LayerPlan& plan) {
    std::vector<std::string> out;
    for (const PlannedOp& p : plan.ops) out.push_back(p.component);
    return out;
  };
  StepShape decode;
  decode.batch = 3;
  decode.kv_len = decode.capacity = 9;
  const LayerPlan absorbed = plan_layer(m, m.layer(1), decode);
  EXPECT_EQ(components(absorbed),
            (std::vector<std::string>{"attention norm", "q_a", "q norm", "q_b", "kv_a", "latent rope", "absorb k",
                                      "attention", "absorb v", "o", "mlp norm", "router", "route", "shared gate_up",
                                      "shared glu", "shared down", "experts"}));
  // A latent of 32 and a rotated key of 8 for each token.
  EXPECT_EQ(absorbed.buffer(BufferRole::cache).shape, (Shape{3, 1, 9, 40}));
  EXPECT_EQ(kv_elements_per_token(m), 4 * 40);
  const auto attention = [](const LayerPlan& plan) {
    for (const PlannedOp& p : plan.ops)
      if (p.component == "attention") return p;
    throw std::runtime_error("no attention");
  };
  const OpCase c = attention(absorbed).op_case;
  EXPECT_EQ(c.axis("kv_heads"), 1);
  EXPECT_EQ(c.axis("qk_dim"), 40);
  EXPECT_EQ(c.axis("v_dim"), 32);
  EXPECT_TRUE(c.flag("shared_kv"));
  EXPECT_DOUBLE_EQ(c.real("scale"), 1 / std::sqrt(24.0));
  // bf16: 9 entries of 40 for each of three sequences, once.
  EXPECT_DOUBLE_EQ(find_op("attention").work(attention(absorbed).op_case, {}).kv_read_bytes, 2.0 * 3 * 9 * 40);

  StepShape prompt = decode;
  prompt.q_len = 9;
  const LayerPlan expanded = plan_layer(m, m.layer(1), prompt);
  const std::vector<std::string> names = components(expanded);
  EXPECT_EQ((std::vector<std::string>(names.begin() + 5, names.begin() + 10)),
            (std::vector<std::string>{"latent rope", "kv_b", "expand", "attention", "o"}));
  EXPECT_EQ(attention(expanded).op_case.axis("kv_heads"), 4);
  EXPECT_EQ(attention(expanded).op_case.axis("qk_dim"), 24);
  EXPECT_EQ(attention(expanded).op_case.axis("v_dim"), 12);
  // What it reads was made just before.
  EXPECT_EQ(find_op("attention").work(attention(expanded).op_case, {}).kv_read_bytes, 0);
  // Both forms keep the same weights and cache.
  ASSERT_EQ(expanded.weights.size(), absorbed.weights.size());
  for (const WeightSpec& w : absorbed.weights)
    EXPECT_TRUE(std::any_of(expanded.weights.begin(), expanded.weights.end(), [&](const WeightSpec& o) {
      return o.name == w.name && o.shape == w.shape;
    })) << w.name;
  EXPECT_EQ(expanded.cache_bytes(), absorbed.cache_bytes());
  // A prompt behind cached tokens reads the cache.
  prompt.kv_len = prompt.capacity = 12;
  EXPECT_TRUE(has_op(plan_layer(m, m.layer(1), prompt), "absorb k"));
}

// index_topk is 6. A step on more keys selects, a prompt too; one on 6 keys sees them all.
TEST(Sparse, AStepOnMoreThanTopKKeysSelects) {
  const ModelSpec m = read(tiny("deepseek_v32"));
  ASSERT_EQ(m.kinds.size(), 2u);
  const auto planned = [&](std::int64_t q_len, std::int64_t kv_len) {
    StepShape s;
    s.batch = 3, s.q_len = q_len, s.kv_len = kv_len, s.capacity = 12;
    return plan_layer(m, m.layer(1), s);
  };
  const auto case_of = [](const LayerPlan& plan, const std::string& component) {
    for (const PlannedOp& p : plan.ops)
      if (p.component == component) return p.op_case;
    throw std::runtime_error("no " + component);
  };
  // Latents of 32 and a rotated key of 8, an index key of 14.
  EXPECT_EQ(kv_elements_per_token(m), 4 * (40 + 14));
  for (const auto& [q_len, kv_len] : {std::pair(1, 7), {7, 7}, {2, 9}}) {
    const LayerPlan plan = planned(q_len, kv_len);
    SCOPED_TRACE(std::to_string(q_len) + " " + std::to_string(kv_len));
    EXPECT_TRUE(has_op(plan, "absorb k")) << "a prompt, too";
    EXPECT_EQ(case_of(plan, "attention").integer("selected", 0), 6);
    EXPECT_EQ(case_of(plan, "select").axis("top_k"), 6);
    EXPECT_EQ(plan.buffer(BufferRole::selection).shape, (Shape{3 * q_len, 6}));
  }
  // bf16, one query: 6 of 9 entries of 40 for each of three sequences; 9 index keys of 14.
  const LayerPlan one = planned(1, 9);
  EXPECT_DOUBLE_EQ(find_op("attention").work(case_of(one, "attention"), {}).kv_read_bytes, 2.0 * 3 * 6 * 40);
  EXPECT_DOUBLE_EQ(find_op("attention").work(case_of(one, "attention"), {}).flops, 2.0 * 3 * 4 * 6 * (40 + 32));
  EXPECT_DOUBLE_EQ(find_op("dsa_index").work(case_of(one, "select"), {}).kv_read_bytes, 2.0 * 3 * 9 * 14);
  // Each pair of a query and a key: five products of 14 and five of a weight.
  EXPECT_DOUBLE_EQ(find_op("dsa_index").work(case_of(one, "select"), {}).flops, 2.0 * 3 * 9 * 5 * 15);
  // Of a prompt of 8 the last two queries see more than they may select: of 7 and 8 keys.
  EXPECT_DOUBLE_EQ(find_op("dsa_index").work(case_of(planned(8, 8), "select"), {}).flops, 2.0 * 3 * (7 + 8) * 5 * 15);
  EXPECT_DOUBLE_EQ(find_op("attention").work(case_of(planned(8, 8), "attention"), {}).flops,
                   2.0 * 3 * 4 * (1 + 2 + 3 + 4 + 5 + 6 + 6 + 6) * (40 + 32));

  for (const auto& [q_len, kv_len] : {std::pair(1, 6), {6, 6}, {3, 5}}) {
    const LayerPlan plan = planned(q_len, kv_len);
    EXPECT_EQ(case_of(plan, "attention").integer("selected", 0), 0);
    EXPECT_EQ(has_op(plan, "expand"), q_len == kv_len);
    EXPECT_EQ(find_op("dsa_index").work(case_of(plan, "select"), {}).flops, 0) << "no score is needed";
    EXPECT_EQ(plan.buffer(BufferRole::selection).shape[1], kv_len) << "no more than there are keys";
  }
  EXPECT_FALSE(case_of(one, "index rope").flag("interleaved"));
  EXPECT_EQ(case_of(one, "index rope").axis("rope_dim"), 8);
  EXPECT_DOUBLE_EQ(case_of(one, "index rope").real("eps"), 1e-6);
}

// Which layers share a selection: a list, a pattern, or every how many-th has an indexer from which on.
TEST(Sparse, GlmLayersShareSelections) {
  const auto kinds_of = [](const Json& more) {
    const ModelSpec m = read(with(tiny("glm_moe_dsa"), more));
    std::vector<std::string> out;
    for (std::int64_t i = 0; i < m.layers; ++i) out.push_back(m.layer(i).name);
    return out;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(kinds_of(Json::object()), (Names{"dense", "moe", "moe", "moe"}));
  const Names alternate = {"dense", "moe shared selection", "moe", "moe shared selection"};
  EXPECT_EQ(kinds_of({{"indexer_types", {"full", "shared", "full", "shared"}}}), alternate);
  EXPECT_EQ(kinds_of({{"index_topk_pattern", "FSFS"}}), alternate);
  EXPECT_EQ(kinds_of({{"index_topk_freq", 2}, {"index_skip_topk_offset", 1}}), alternate);
  // max(i - 2 + 1, 0) % 2: layers 0, 1 and 3.
  EXPECT_EQ(kinds_of({{"index_topk_freq", 2}}), (Names{"dense", "moe", "moe shared selection", "moe"}));

  const ModelSpec m = read(with(tiny("glm_moe_dsa"), {{"indexer_types", {"full", "shared", "shared", "shared"}}}));
  EXPECT_EQ(kv_elements_per_token(m), 4 * 40 + 14) << "one index cache for all";
  StepShape s;
  s.kv_len = s.capacity = 9;
  const LayerPlan shared = plan_layer(m, m.layer(1), s), full = plan_layer(m, m.layer(0), s);
  EXPECT_EQ(shared.buffer(BufferRole::given_selection).shape, (Shape{1, 6}));
  EXPECT_FALSE(has_op(shared, "select"));
  EXPECT_TRUE(has_op(full, "select"));
  for (const WeightSpec& w : shared.weights) EXPECT_FALSE(w.name.starts_with("index")) << w.name;
  for (const PlannedOp& p : full.ops) EXPECT_TRUE(p.component != "index rope" || p.op_case.flag("interleaved"));
}

TEST(Latent, ScoresAreScaledByYarn) {
  const Json yarn = {{"rope_scaling",
                      {{"type", "yarn"},
                       {"factor", 40},
                       {"mscale", 1.0},
                       {"mscale_all_dim", 0.707},
                       {"original_max_position_embeddings", 64}}}};
  const ModelSpec m = read(with(tiny("deepseek_v2"), yarn));
  const double mscale = 0.1 * 0.707 * std::log(40.0) + 1;
  EXPECT_NEAR(op_case(m, "attention").real("scale"), mscale * mscale / std::sqrt(24.0), 1e-15);
  EXPECT_NEAR(rotary(m).table_scale, (0.1 * std::log(40.0) + 1) / mscale, 1e-12);
}

TEST(Latent, RoutersFollowTheFamily) {
  const ModelSpec v3 = read(tiny("deepseek_v3"));
  const OpCase a = op_case(v3, "route", 1);
  EXPECT_EQ(a.word("score", ""), "sigmoid");
  EXPECT_TRUE(a.flag("bias"));
  EXPECT_TRUE(a.flag("renormalise"));
  EXPECT_EQ(a.axis("groups"), 4);
  EXPECT_EQ(a.axis("top_groups"), 2);
  EXPECT_EQ(a.word("group_score", "top2"), "top2");
  EXPECT_DOUBLE_EQ(a.real("scaling"), 2.5);
  EXPECT_EQ(op_case(v3, "shared down", 1).axis("k"), 40);  // two of 20
  EXPECT_EQ(read(tiny("kimi_k2")).model_type, "deepseek_v3");

  const ModelSpec greedy = read(with(tiny("deepseek_v2"), {{"norm_topk_prob", true}}));
  EXPECT_FALSE(op_case(greedy, "route", 1).has("groups")) << "groups mean nothing to greedy";
  EXPECT_FALSE(op_case(greedy, "route", 1).flag("renormalise"));
  EXPECT_EQ(greedy.notes.size(), 2u);  // norm_topk_prob and n_group
  const OpCase b = op_case(read(with(tiny("deepseek_v2"), {{"topk_method", "group_limited_greedy"}})), "route", 1);
  EXPECT_EQ(b.word("score", "softmax"), "softmax");
  EXPECT_EQ(b.word("group_score", ""), "max");
  EXPECT_FALSE(b.flag("bias"));
  // The layer for further tokens is not measured, and that is said.
  EXPECT_TRUE(contains(read(with(tiny("deepseek_v3"), {{"num_nextn_predict_layers", 1}})).notes.at(0), "multi-token"));
}

TEST(Families, Glm4MoeTurnsAPartOfEachHead) {
  const ModelSpec bare = read(tiny("glm4_moe"));
  EXPECT_EQ(moe_layers(bare), (Moes{false, true, true, true}));
  EXPECT_EQ(op_case(bare, "rope").axis("rotary_dims"), 8);
  EXPECT_EQ(rotary(bare).dims, 8);
  EXPECT_FALSE(qk_norm(bare) || has_bias(bare, "qkv") || has_bias(bare, "o"));
  EXPECT_EQ(read(with(tiny("glm4_moe"), {{"partial_rotary_factor", nullptr}})).notes.size(), 1u);
  EXPECT_EQ(rotary(read(with(tiny("glm4_moe"), {{"partial_rotary_factor", nullptr}}))).dims, 8);
  const ModelSpec full = read(with(tiny("glm4_moe"), {{"attention_bias", true}, {"use_qk_norm", true}}));
  EXPECT_TRUE(qk_norm(full) && has_bias(full, "qkv"));
  EXPECT_FALSE(has_bias(full, "o")) << "attention_bias never reaches o in this family";
  const OpCase route = op_case(bare, "route", 1);
  EXPECT_EQ(route.word("score", ""), "sigmoid");
  EXPECT_TRUE(route.flag("bias") && route.flag("renormalise"));
  EXPECT_FALSE(route.has("groups") || route.has("scaling"));
  EXPECT_EQ(op_case(bare, "shared down", 1).axis("k"), 40);  // two of 20
}

TEST(Families, Ernie4_5MoeHasKeysOfItsOwn) {
  const ModelSpec m = read(tiny("ernie4_5_moe"));
  EXPECT_EQ(m.experts, (ExpertChoice{16, 3}));
  EXPECT_EQ(moe_layers(m), (Moes{false, true, true, true}));
  EXPECT_TRUE(op_case(m, "rope").flag("interleaved"));
  EXPECT_FALSE(op_case(m, "rope").has("rotary_dims"));
  EXPECT_EQ(rotary(m).theta, 5e5);
  const OpCase route = op_case(m, "route", 1);
  EXPECT_EQ(route.word("score", "softmax"), "softmax");
  EXPECT_TRUE(route.flag("bias") && route.flag("renormalise"));
  EXPECT_EQ(op_case(m, "shared down", 1).axis("k"), 40);  // two of 20
  for (const WeightSpec& w : plan_of(m, 1).weights)
    if (w.name == "correction_bias") {
      EXPECT_EQ(w.sources.at(0).tensor, "mlp.moe_statics.e_score_correction_bias");
      EXPECT_EQ(w.sources.at(0).shape, (Shape{1, 16}));
    }
  const auto moes = [](const Json& change) { return moe_layers(read(with(tiny("ernie4_5_moe"), change))); };
  EXPECT_EQ(moes({{"moe_layer_interval", 2}}), (Moes{false, true, false, true}));
  EXPECT_EQ(moes({{"moe_layer_end_index", 2}}), (Moes{false, true, true, false}));
  EXPECT_EQ(moes({{"moe_layer_end_index", -1}, {"moe_layer_start_index", 2}}), (Moes{false, false, true, true}));
  const ModelSpec biased = read(with(tiny("ernie4_5_moe"), {{"use_bias", true}}));
  EXPECT_TRUE(has_bias(biased, "qkv") && has_bias(biased, "o") && has_bias(biased, "gate_up"));
  EXPECT_EQ(
      op_case(read(with(tiny("ernie4_5_moe"), {{"moe_num_shared_experts", nullptr}})), "shared down", 1).axis("k"),
      40);  // two where the key is absent
  EXPECT_FALSE(has_op(plan_of(read(with(tiny("ernie4_5_moe"), {{"moe_num_shared_experts", 0}})), 1), "shared down"));
  // The class ties embeddings where a file is silent; no other family's does.
  EXPECT_TRUE(read(with(tiny("ernie4_5_moe"), {{"tie_word_embeddings", nullptr}})).tied_embeddings);
  EXPECT_FALSE(read(with(tiny("ernie4_5_moe"), {{"tie_word_embeddings", false}})).tied_embeddings);
  EXPECT_FALSE(read(with(tiny("glm4_moe"), {{"tie_word_embeddings", nullptr}})).tied_embeddings);
}

const WeightSpec& weight(const LayerPlan& plan, const std::string& name) {
  for (const WeightSpec& w : plan.weights)
    if (w.name == name) return w;
  throw std::runtime_error("no weight " + name);
}

TEST(Families, OlmoeNormsAllHeadsTogether) {
  const ModelSpec m = read(tiny("olmoe"));
  EXPECT_EQ(op_case(m, "rope").word("qk_norm", ""), "whole");
  EXPECT_EQ(weight(plan_of(m), "q_norm").shape, (Shape{64}));
  EXPECT_EQ(weight(plan_of(m), "k_norm").shape, (Shape{32}));  // two heads of 16
  EXPECT_EQ(moe_layers(m), (Moes{true, true, true, true}));
  EXPECT_EQ(expert_width(m), 96);
  EXPECT_FALSE(renormalises(m));
  EXPECT_TRUE(renormalises(read(with(tiny("olmoe"), {{"norm_topk_prob", true}}))));
  EXPECT_FALSE(has_bias(m, "qkv") || has_bias(m, "o"));
  const ModelSpec biased = read(with(tiny("olmoe"), {{"attention_bias", true}}));
  EXPECT_TRUE(has_bias(biased, "qkv") && has_bias(biased, "o"));
}

TEST(Families, MiniMaxM2TurnsRotaryDim) {
  const ModelSpec m = read(tiny("minimax_m2"));
  const OpCase rope = op_case(m, "rope");
  EXPECT_EQ(rope.word("qk_norm", ""), "whole");
  EXPECT_EQ(rope.axis("rotary_dims"), 8);
  EXPECT_EQ(rotary(m).dims, 8);
  EXPECT_EQ(rotary(m).theta, 5e6);
  EXPECT_EQ(weight(plan_of(m), "q_norm").shape, (Shape{80}));
  EXPECT_EQ(weight(plan_of(m), "k_norm").shape, (Shape{40}));
  EXPECT_EQ(weight(plan_of(m), "correction_bias").sources.at(0).tensor, "block_sparse_moe.e_score_correction_bias");
  EXPECT_EQ(weight(plan_of(m), "experts_gate_up").sources.at(1).tensor, "block_sparse_moe.experts.0.w3.weight");
  const OpCase route = op_case(m, "route");
  EXPECT_EQ(route.word("score", ""), "sigmoid");
  EXPECT_TRUE(route.flag("bias") && route.flag("renormalise"));
  EXPECT_FALSE(route.has("groups") || route.has("scaling"));
  // partial_rotary_factor comes first, wherever it stands; without either all is turned.
  const Json half = {{"rope_parameters", {{"rope_theta", 10.0}, {"partial_rotary_factor", 0.4}}}};
  EXPECT_EQ(rotary(read(with(tiny("minimax_m2"), half))).dims, 8);
  EXPECT_FALSE(op_case(read(with(tiny("minimax_m2"), {{"rotary_dim", nullptr}})), "rope").has("rotary_dims"));
  EXPECT_EQ(head_dim(read(with(tiny("minimax_m2"), {{"head_dim", nullptr}}))), 128);
  const ModelSpec mtp = read(with(tiny("minimax_m2"), {{"use_mtp", true}, {"num_mtp_modules", 3}}));
  EXPECT_TRUE(contains(mtp.notes.at(0), "3 layers for multi-token prediction left out"));
}

TEST(Families, MiniMaxGoesOnFromItsNorms) {
  const ModelSpec m = read(tiny("minimax"));
  ASSERT_EQ(m.kinds.size(), 2u);
  EXPECT_EQ(m.kinds[0].name, "moe linear");
  EXPECT_EQ(m.kinds[1].name, "moe");
  EXPECT_EQ(m.kind_of_layer, (std::vector<std::size_t>{0, 0, 0, 1}));
  const OpCase linear = op_case(m, "mlp norm"), full = op_case(m, "mlp norm", 3);
  EXPECT_EQ(linear.real("residual_times"), 2.5);
  EXPECT_EQ(linear.real("x_times"), 0.5);
  EXPECT_EQ(linear.real("y_times"), 1.5);
  EXPECT_EQ(full.real("residual_times"), 3.5);
  EXPECT_FALSE(full.has("x_times"));
  EXPECT_FALSE(op_case(m, "route").has("scaling"));
  EXPECT_EQ(op_case(read(with(tiny("minimax"), {{"mlp_beta_factor", 0.7}})), "route").real("scaling"), 0.7);
  const OpCase lightning = op_case(m, "lightning");
  EXPECT_EQ(lightning.axis("heads"), 4);
  EXPECT_EQ(lightning.axis("head_dim"), 16);
  EXPECT_EQ(op_case(m, "value norm").real("eps"), 1e-6) << "whatever rms_norm_eps says";
  EXPECT_EQ(weight(plan_of(m), "experts_gate_up").sources.at(1).tensor, "block_sparse_moe.experts.0.w3.weight");
  EXPECT_FALSE(has_op(plan_of(m), "rope") || op_case(m, "rope", 3).has("rotary_dims"));
  // 4 heads of 16 x 16 in f32, in each of three layers, and no keys.
  EXPECT_EQ(state_bytes_per_sequence(m, DType::bf16), 3 * 4 * 16 * 16 * 4);
  EXPECT_EQ(kv_elements_per_token(m), 2 * 2 * 16);

  // By hand: 2^-2 = 1/4 in the first layer and head, 2^-8 in the first layer's last, 2/3 of it in the second of four.
  const WeightSpec slopes = weight(plan_of(m), "slopes");
  ASSERT_TRUE(slopes.rule && slopes.sources.empty());
  EXPECT_FLOAT_EQ(slopes.rule(0, 0), 0.25f * 1.00001f);
  EXPECT_FLOAT_EQ(slopes.rule(0, 3), 1.00001f / 256);
  EXPECT_NEAR(slopes.rule(1, 0), 0.25 * (2.0 / 3 + 1e-5), 1e-6);
  EXPECT_GT(slopes.rule(3, 0), 0) << "of the last layer";
  EXPECT_EQ(slopes.rule(4, 2), slopes.rule(0, 2)) << "stacks may be higher than the model";

  const ModelSpec in_turns = read(with(tiny("minimax"), {{"layer_types", nullptr}}));
  EXPECT_EQ(in_turns.kinds[0].name, "moe");
  EXPECT_EQ(in_turns.kind_of_layer, (std::vector<std::size_t>{0, 1, 0, 1}));
  EXPECT_TRUE(contains(in_turns.notes.at(0), "in turns"));
  const ModelSpec ignored = read(with(tiny("minimax"), {{"rotary_dim", 8}}));
  EXPECT_TRUE(contains(ignored.notes.at(0), "rotary_dim (8) is ignored"));
  EXPECT_FALSE(op_case(ignored, "rope", 3).has("rotary_dims"));
}

TEST(Families, MiniMaxText01HasKeysOfItsOwn) {
  const ModelSpec m = read(tiny("minimax_text_01"));
  EXPECT_EQ(m.model_type, "minimax");
  EXPECT_EQ(m.kind_of_layer, (std::vector<std::size_t>{0, 0, 0, 1}));
  EXPECT_EQ(op_case(m, "mlp norm").real("residual_times"), 3.5);
  EXPECT_FALSE(op_case(m, "mlp norm", 3).has("residual_times"));
  EXPECT_EQ(op_case(m, "route").real("scaling"), 0.5);
  EXPECT_EQ(op_case(m, "rope", 3).axis("rotary_dims"), 8);
  Json published = tiny("minimax_text_01");
  published["architectures"] = {"MiniMaxText01ForCausalLM"};
  EXPECT_EQ(read(published).head.kind, HeadSpec::Kind::language);
}

TEST(Families, HunyuanNormsWhatIsTurned) {
  const ModelSpec m = read(tiny("hunyuan_v1_moe"));
  EXPECT_EQ(op_case(m, "rope").word("qk_norm", ""), "after");
  EXPECT_EQ(weight(plan_of(m), "q_norm").sources.at(0).tensor, "self_attn.query_layernorm.weight");
  EXPECT_EQ(weight(plan_of(m), "k_norm").sources.at(0).tensor, "self_attn.key_layernorm.weight");
  EXPECT_EQ(weight(plan_of(m), "router_w").sources.at(0).tensor, "mlp.gate.wg.weight");
  EXPECT_EQ(weight(plan_of(m), "shared down_w").sources.at(0).tensor, "mlp.shared_mlp.down_proj.weight");
  EXPECT_EQ(op_case(m, "shared down").axis("k"), 96);
  EXPECT_EQ(expert_width(m), 96);
  EXPECT_TRUE(renormalises(m));
  const ModelSpec lists =
      read(with(tiny("hunyuan_v1_moe"), {{"moe_topk", {3, 3, 3, 3}},
                                         {"moe_intermediate_size", {96, 96, 96, 96}},
                                         {"num_shared_expert", {1, 1, 1, 1}},
                                         {"num_experts", {16, 16, 16, 16}},
                                         {"rope_scaling", {{"type", "dynamic"}, {"alpha", 1000}}}}));
  EXPECT_EQ(lists.experts, (ExpertChoice{16, 3}));
  EXPECT_NEAR(rotary(lists).theta, 1e4 * std::pow(1000, 16.0 / 14), 1e-3);
}

TEST(Families, GptOssHasSinksAndClampedExperts) {
  const ModelSpec m = read(tiny("gpt_oss"));
  EXPECT_EQ(windows(m), (Windows{7, 0, 7, 0}));
  EXPECT_EQ(m.kinds.size(), 2u);
  EXPECT_TRUE(op_case(m, "attention").flag("sinks") && op_case(m, "attention", 1).flag("sinks"));
  EXPECT_TRUE(has_bias(m, "qkv") && has_bias(m, "o") && has_bias(m, "router") && has_bias(m, "experts"));
  EXPECT_EQ(op_case(m, "experts").word("act", ""), "clamped");
  EXPECT_EQ(op_case(m, "experts").real("limit"), 7.0);
  EXPECT_EQ(op_case(m, "route").word("score", "softmax"), "softmax");
  EXPECT_TRUE(renormalises(m));  // of a softmax over all: the softmax over the chosen
  EXPECT_EQ(rotary(m).theta, 1.5e5);
  EXPECT_FALSE(rotary(m).truncate);
  EXPECT_NEAR(rotary(m).table_scale, 1.3465735903, 1e-9);  // 0.1 ln 32 + 1
  const LayerPlan plan = plan_of(m);
  EXPECT_EQ(weight(plan, "sinks").sources.at(0).tensor, "self_attn.sinks");
  EXPECT_EQ(weight(plan, "router_bias").sources.at(0).tensor, "mlp.router.bias");
  EXPECT_EQ(weight(plan, "experts_gate_up_bias").shape, (Shape{16, 192}));
  EXPECT_TRUE(weight(plan, "experts_down_bias").per_expert);
  const ModelSpec bare = read(with(tiny("gpt_oss"), {{"attention_bias", false}, {"swiglu_limit", 3}}));
  EXPECT_FALSE(has_bias(bare, "qkv") || has_bias(bare, "o"));
  EXPECT_EQ(op_case(bare, "experts").real("limit"), 3.0);
  // What transformers takes where the config is silent.
  const ModelSpec silent =
      read(with(tiny("gpt_oss"), {{"layer_types", nullptr}, {"sliding_window", nullptr}, {"rope_scaling", nullptr}}));
  EXPECT_EQ(windows(silent), (Windows{128, 0, 128, 0}));
  EXPECT_EQ(rotary(silent).kind, RotarySpec::Kind::yarn);
  EXPECT_EQ(rotary(silent).factor, 32.0);
  EXPECT_FALSE(rotary(silent).truncate);
  EXPECT_EQ(silent.notes.size(), 2u);
}

// An empty rope_scaling is none there; an empty rope_parameters is plain rope.
TEST(Families, GptOssWithoutRopeScaling) {
  for (const Json& empty : {Json(nullptr), Json::object()}) {
    Json config = tiny("gpt_oss");
    config["rope_scaling"] = empty;
    EXPECT_EQ(rotary(read(config)).kind, RotarySpec::Kind::yarn);
    EXPECT_EQ(rotary(read(config)).original_max_position, 4096);
    config["original_max_position_embeddings"] = 2048;
    EXPECT_EQ(rotary(read(config)).original_max_position, 2048);
    config["rope_parameters"] = Json::object();
    EXPECT_EQ(rotary(read(config)).kind, RotarySpec::Kind::plain);
  }
}

TEST(Families, MistralsWindows) {
  EXPECT_EQ(windows(read(tiny("mistral"))), (Windows{4096, 4096, 4096, 4096}));  // the key is absent
  Json none = tiny("mistral");
  none["sliding_window"] = nullptr;
  EXPECT_EQ(windows(read(none)), (Windows{0, 0, 0, 0}));
  EXPECT_EQ(windows(read(with(tiny("mistral"), {{"sliding_window", 9}}))), (Windows{9, 9, 9, 9}));
  const Json words = {"full_attention", "sliding_attention", "full_attention", "sliding_attention"};
  EXPECT_EQ(windows(read(with(tiny("ministral"), {{"layer_types", words}}))), (Windows{0, 7, 0, 7}));
  EXPECT_EQ(windows(read(tiny("ministral"))), (Windows{7, 7, 7, 7}));
  EXPECT_EQ(windows(read(tiny("ministral3"))), (Windows{0, 0, 0, 0}));
  const ModelSpec m = read(tiny("ministral3"));
  EXPECT_TRUE(op_case(m, "rope").flag("q_scale"));
  const QueryTemperature t = plan_of(m).temperature;
  EXPECT_EQ(t.beta, 0.1);
  EXPECT_EQ(t.every, 64);
  EXPECT_EQ(t.offset, 0);
  // 0 is no temperature, and no family that has none may be given one.
  EXPECT_FALSE(op_case(read(with(tiny("ministral3"), {{"rope_parameters", {{"llama_4_scaling_beta", 0}}}})), "rope")
                   .flag("q_scale"));
  EXPECT_TRUE(contains(bad_input([] {
                         read(with(tiny("mistral"), {{"rope_parameters", {{"llama_4_scaling_beta", 0.1}}}}));
                       }),
                       "rope_parameters.llama_4_scaling_beta"));
}

// By hand: 1 + 0.1 ln(1 + floor((p + 1) / 4)).
TEST(Families, TemperaturesGrowByTheLogarithm) {
  const OwnedTensor scale(DType::f32, {9});
  fill_temperatures({.beta = 0.1, .every = 4, .offset = 1}, scale.view());
  for (const auto& [p, expected] : std::vector<std::pair<int, double>>{
           {0, 1}, {2, 1}, {3, 1.0693147}, {6, 1.0693147}, {7, 1.1098612}, {8, 1.1098612}})
    EXPECT_NEAR(scale.view().load(p), expected, 1e-6) << p;
}

TEST(Families, Llama4TurnsThreeOfFourLayersAndChunksThem) {
  const ModelSpec m = read(tiny("llama4"));
  ASSERT_EQ(m.kinds.size(), 3u);  // dense and moe with chunks, moe without rotation
  EXPECT_EQ(m.layer(0).name, "dense chunk=32");
  EXPECT_EQ(m.layer(1).name, "moe chunk=32");
  EXPECT_EQ(m.layer(3).name, "moe unrotated");
  EXPECT_EQ(op_case(m, "rope").word("qk_norm", ""), "bare");
  EXPECT_TRUE(op_case(m, "rope").flag("interleaved"));
  EXPECT_FALSE(op_case(m, "rope", 3).has("qk_norm"));
  EXPECT_TRUE(op_case(m, "rope", 3).flag("q_scale"));
  EXPECT_EQ(plan_of(m, 3).rotary.kind, RotarySpec::Kind::none);
  EXPECT_EQ(op_case(m, "gate_up").axis("n"), 320);             // intermediate_size_mlp
  EXPECT_EQ(op_case(m, "experts", 1).axis("ffn_hidden"), 96);  // intermediate_size
  EXPECT_EQ(op_case(m, "shared gate_up", 1).axis("n"), 192);
  EXPECT_TRUE(op_case(m, "experts", 1).flag("weigh_input"));
  EXPECT_EQ(op_case(m, "route", 1).word("score", ""), "sigmoid");
  EXPECT_FALSE(op_case(m, "route", 1).flag("renormalise"));
  // A prompt beyond a chunk, one within, and the first token of the next.
  const auto attention = [&](std::int64_t q_len, std::int64_t kv_len) {
    StepShape shape;
    shape.q_len = q_len, shape.kv_len = shape.capacity = kv_len;
    for (const PlannedOp& p : plan_layer(m, m.layer(0), shape).ops)
      if (p.component == "attention") return p.op_case;
    return OpCase();
  };
  EXPECT_EQ(attention(70, 70).integer("chunk", 0), 32);
  EXPECT_FALSE(attention(32, 32).has("chunk") || attention(32, 32).has("window"));
  EXPECT_EQ(attention(1, 33).integer("chunk", 0), 32);
  // What is kept of a sequence of 70: a chunk of each layer that has them.
  StepShape shape;
  shape.kv_len = shape.capacity = 70;
  EXPECT_EQ(plan_layer(m, m.layer(0), shape).needed_cache_bytes(), 2.0 * 2 * 2 * 16 * 32);

  EXPECT_FALSE(op_case(read(with(tiny("llama4"), {{"use_qk_norm", false}})), "rope").has("qk_norm"));
  EXPECT_FALSE(op_case(read(with(tiny("llama4"), {{"attn_temperature_tuning", false}})), "rope", 3).flag("q_scale"));
  EXPECT_TRUE(op_case(read(with(tiny("llama4"), {{"attn_temperature_tuning", 4}})), "rope", 3).flag("q_scale"));
  const ModelSpec other = read(with(tiny("llama4"), {{"no_rope_layers", {0, 1, 1, 1}}, {"moe_layers", {0}}}));
  EXPECT_EQ(other.layer(0).name, "moe unrotated");
  EXPECT_EQ(other.layer(3).name, "dense chunk=32");
  const Json words = {"full_attention", "chunked_attention", "chunked_attention", "chunked_attention"};
  EXPECT_EQ(read(with(tiny("llama4"), {{"layer_types", words}})).layer(0).name, "dense");
}

TEST(Families, Gemma4HasTwoSizesOfHeads) {
  const ModelSpec m = read(tiny("gemma4"));
  ASSERT_EQ(m.kinds.size(), 2u);
  EXPECT_EQ(windows(m), (Windows{7, 0, 7, 0}));
  const OpCase sliding = op_case(m, "rope"), full = op_case(m, "rope", 1);
  EXPECT_EQ(sliding.axis("head_dim"), 16);
  EXPECT_EQ(sliding.axis("kv_heads"), 2);
  EXPECT_TRUE(sliding.flag("v_norm") && full.flag("v_norm"));
  EXPECT_FALSE(sliding.flag("v_from_k"));
  EXPECT_EQ(full.axis("head_dim"), 32);
  EXPECT_EQ(full.axis("kv_heads"), 1);
  EXPECT_TRUE(full.flag("v_from_k"));
  EXPECT_EQ(op_case(m, "qkv").axis("n"), 16 * (4 + 2 + 2));
  EXPECT_EQ(op_case(m, "qkv", 1).axis("n"), 32 * (4 + 1));
  EXPECT_EQ(op_case(m, "attention").real("scale"), 1.0);
  EXPECT_EQ(rotary(m).theta, 1e4);
  EXPECT_EQ(plan_of(m, 1).rotary.theta, 1e6);
  EXPECT_EQ(plan_of(m, 1).rotary.turned_pairs, 4);  // a quarter of 16
  EXPECT_EQ(op_case(m, "experts").word("act", ""), "gelu_tanh");
  EXPECT_EQ(op_case(m, "glu").word("act", ""), "gelu_tanh");
  EXPECT_TRUE(op_case(m, "route").flag("expert_scale"));
  EXPECT_FALSE(op_case(m, "experts").flag("residual"));
  EXPECT_TRUE(op_case(m, "last norm").flag("added") && op_case(m, "last norm").flag("scaled"));
  EXPECT_NEAR(weight(plan_of(m), "router_scale").times, 0.125, 1e-9);  // 64^-1/2
  // By hand: 2 x 2 x (2 x 16) of a layer with a window, 2 x 32 of one that sees all.
  EXPECT_EQ(kv_elements_per_token(m), 2 * (2 * 2 * 16 + 2 * 32));
  // As transformers 5.23 resaves it.
  const Json wide = {{"head_dim", 32}, {"num_key_value_heads", 1}};
  const ModelSpec resaved = read(with(tiny("gemma4"), {{"global_head_dim", nullptr},
                                                       {"num_global_key_value_heads", nullptr},
                                                       {"per_layer_config", {{"1", wide}, {"3", wide}}}}));
  EXPECT_EQ(kv_elements_per_token(resaved), kv_elements_per_token(m));
  EXPECT_FALSE(has_op(plan_of(read(with(tiny("gemma4"), {{"enable_moe_block", false}}))), "experts"));
}

// Only the experts are in mxfp4; rows of gate and up, in turns in the file, are one matrix here.
TEST(Families, GptOssAsShippedIsInMxfp4) {
  const ModelSpec m = find_model("gpt-oss-20b", kConfigs);
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  const LayerPlan plan = plan_layer(m, m.kinds.front(), shape);
  for (const WeightSpec& w : plan.weights)
    EXPECT_EQ(std::string(w.format->name), w.name == "experts_gate_up" || w.name == "experts_down" ? "mxfp4"
                                           : w.name == "sinks"                                     ? "f32"
                                                                                                   : "bf16")
        << w.name;
  // 17 bytes for 32 values: 32 experts of 3 x 2880 x 2880.
  EXPECT_EQ(weight(plan, "experts_gate_up").bytes() + weight(plan, "experts_down").bytes(),
            32.0 * 3 * 2880 * 2880 / 32 * 17);
}

// 2 key heads of 8, 6 value heads of 10, a kernel of 4: 92 channels and 60 gates.
TEST(Families, GatedDeltaLayersAndGatedAttention) {
  const auto linear = [](const ModelSpec& m) {
    std::vector<bool> list;
    for (std::int64_t i = 0; i < m.layers; ++i) list.push_back(has_op(plan_of(m, i), "gated delta"));
    return list;
  };
  for (const char* type : {"qwen3_next", "qwen3_5", "qwen3_5_moe"}) {
    SCOPED_TRACE(type);
    const ModelSpec m = read(tiny(type));
    EXPECT_EQ(linear(m), (std::vector<bool>{true, true, true, false})) << "four layers from one full one to the next";
    EXPECT_EQ(linear(read(with(tiny(type), {{"full_attention_interval", 2}}))),
              (std::vector<bool>{true, false, true, false}));
    const Json kinds = {"full_attention", "linear_attention", "full_attention", "linear_attention"};
    EXPECT_EQ(linear(read(with(tiny(type), {{"layer_types", kinds}}))), (std::vector<bool>{false, true, false, true}));
    EXPECT_EQ(op_case(m, "qkvz").axis("n"), 152);
    EXPECT_EQ(op_case(m, "conv").axis("channels"), 92);
    EXPECT_EQ(op_case(m, "ba").axis("n"), 12);
    EXPECT_EQ(op_case(m, "rope", 3).axis("rotary_dims"), 4);
    EXPECT_EQ(op_case(m, "rope", 3).word("qk_norm", ""), "1");
    EXPECT_EQ(op_case(m, "gated attention", 3).axis("gates"), 64);
    const ModelSpec biased = read(with(tiny(type), {{"attention_bias", true}}));
    EXPECT_TRUE(op_case(biased, "gate", 3).flag("bias") && op_case(biased, "o", 3).flag("bias"));
    EXPECT_FALSE(has_bias(biased, "out")) << "linear attention has no biases";
    // Norms come as w - 1 and are made as w, in f32; that of the values comes as it is.
    for (const WeightSpec& w : plan_of(m).weights) {
      const bool offset = w.name == "attention_norm" || w.name == "mlp_norm";
      EXPECT_EQ(w.added, offset ? 1 : 0) << w.name;
      if (offset) {
        EXPECT_EQ(w.format, &weight_format(DType::f32));
      }
    }
    EXPECT_EQ(plan_head(m, 1, {}).weights.front().added, 1);
    // What layers are made of: the matrices, the kernel, a decay's two numbers per head.
    const std::int64_t delta = (152 + 12 + 60) * 64 + 92 * 4 + 2 * 6 + 10 + 2 * 64;
    const std::int64_t full = (2 * 64 + 2 * 32 + 64) * 64 + 2 * 16 + 2 * 64, mlp = 3 * 64 * 96;
    const std::int64_t moe = 8 * 64 + 64 + (8 * 20 + 24) * 3 * 64;
    EXPECT_EQ(count_parameters(m).total,
              3 * delta + full + 4 * (type == std::string("qwen3_5") ? mlp : moe) + 64 + 6400);
    // Three layers' states: 3 inputs of 92 channels in the activations' type, 6 matrices of 8 x 10 in f32.
    EXPECT_EQ(state_bytes_per_sequence(m, DType::bf16), 3 * (3 * 92 * 2 + 6 * 80 * 4));
    EXPECT_EQ(state_bytes_per_sequence(m, DType::f32), 3 * (3 * 92 * 4 + 6 * 80 * 4));
    EXPECT_EQ(kv_elements_per_token(m), 2 * 32) << "one layer has a cache";
    Scenario s;
    s.batch = 3;
    s.context = 40;
    const MemoryNeed need = memory_need(m, s, 1e12);
    EXPECT_EQ(need.state_bytes, 3 * state_bytes_per_sequence(m, DType::bf16));
    EXPECT_EQ(need.kv_bytes, need.state_bytes + 3 * 41 * 2 * 32 * 2);
    EXPECT_EQ(need.weight_bytes, 2.0 * static_cast<double>(count_parameters(m).total)) << "all of it stored in bf16";
  }
  EXPECT_EQ(moe_layers(read(with(tiny("qwen3_next"), {{"mlp_only_layers", {1}}}))), (Moes{true, false, true, true}));
  EXPECT_TRUE(renormalises(read(tiny("qwen3_next")))) << "unlike qwen3_moe";
  EXPECT_FALSE(renormalises(read(with(tiny("qwen3_next"), {{"norm_topk_prob", false}}))));
  EXPECT_EQ(read(with(tiny("qwen3_5"), {{"model_type", "qwen3_5_text"}})).model_type, "qwen3_5");
  Json nested = {{"model_type", "qwen3_5_moe"}, {"text_config", tiny("qwen3_5_moe")}};
  nested["text_config"]["model_type"] = "qwen3_5_moe_text";
  EXPECT_TRUE(contains(read(nested).notes.at(0), "the language part alone"));
  EXPECT_TRUE(contains(read(with(tiny("qwen3_5"), {{"mtp_num_hidden_layers", 2}})).notes.at(0), "2 layers for multi"));
}

// The plan's rows are all q, all k, all v, all gates of in_proj_qkvz; of q_proj every other head's.
TEST(Families, RowsInTurnsArePutInOrder) {
  using Rows = std::vector<std::int64_t>;
  const auto rows = [](const LayerPlan& plan, const std::string& name) {
    Rows list;
    for (const WeightSpec& w : plan.weights)
      if (w.name == name)
        for (const WeightSpec::Source& s : w.sources)
          for (std::int64_t r = 0; r < (s.is_whole() ? s.shape[0] : s.rows); ++r) list.push_back(s.first_row + r);
    return list;
  };
  const auto append = [](Rows& list, std::int64_t from, std::int64_t to) {
    for (; from < to; ++from) list.push_back(from);
  };
  const ModelSpec m = read(tiny("qwen3_next"));
  // Per key head 8 q, 8 k, 3 x 10 values, 3 x 10 gates: 76.
  Rows expected;
  for (const auto& [from, to] : {std::pair(0, 8), std::pair(8, 16), std::pair(16, 46), std::pair(46, 76)})
    for (const int head : {0, 76}) append(expected, head + from, head + to);
  EXPECT_EQ(rows(plan_of(m), "qkvz_w"), expected);
  EXPECT_EQ(rows(plan_of(m), "ba_w"), (Rows{0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11}));
  Rows gates, qkv;
  for (int head = 0; head < 4; ++head) {
    append(qkv, 32 * head, 32 * head + 16);
    append(gates, 32 * head + 16, 32 * head + 32);
  }
  append(qkv, 0, 32);  // k and v are matrices of their own
  append(qkv, 0, 32);
  EXPECT_EQ(rows(plan_of(m, 3), "gate_w"), gates);
  EXPECT_EQ(rows(plan_of(m, 3), "qkv_w"), qkv);
}

TEST(Rope, ReadsBothSpellings) {
  EXPECT_EQ(rotary(read(with(tiny("llama"), {{"rope_theta", 5e5}}))).theta, 5e5);
  EXPECT_EQ(rotary(read(with(tiny("llama"), {{"rope_theta", 500000}}))).theta, 5e5);
  const Json v5 = {{"rope_parameters", {{"rope_theta", 123.0}, {"rope_type", "default"}}}};
  EXPECT_EQ(rotary(read(with(tiny("llama"), v5))).theta, 123.0);
  EXPECT_EQ(rotary(read(with(with(tiny("llama"), v5), {{"rope_theta", 7.0}}))).theta, 123.0);  // inside comes first
  EXPECT_EQ(rotary(read(with(tiny("llama"), {{"rope_parameters", Json::object()}, {"rope_theta", 7.0}}))).theta, 7.0);

  for (const char* key : {"type", "rope_type"}) {
    const ModelSpec linear = read(with(tiny("llama"), {{"rope_scaling", {{key, "linear"}, {"factor", 4.0}}}}));
    EXPECT_EQ(rotary(linear).kind, RotarySpec::Kind::linear) << key;
    EXPECT_EQ(rotary(linear).factor, 4.0);
  }
  const ModelSpec both =
      read(with(tiny("llama"), {{"rope_scaling", {{"type", "yarn"}, {"rope_type", "linear"}, {"factor", 2}}}}));
  EXPECT_EQ(rotary(both).kind, RotarySpec::Kind::linear);
  EXPECT_EQ(both.notes.size(), 1u);

  const Json llama3 = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};
  const auto original = [&](const Json& change) {
    return rotary(read(with(tiny("llama"), change))).original_max_position;
  };
  EXPECT_EQ(original({{"rope_scaling", llama3}}), 512);  // max_position_embeddings
  const Json inside = with(llama3, {{"original_max_position_embeddings", 128}});
  EXPECT_EQ(original({{"rope_scaling", inside}}), 128);
  EXPECT_EQ(original({{"original_max_position_embeddings", 256}, {"rope_scaling", inside}}), 256);
  const Json equal = with(llama3, {{"high_freq_factor", 1.0}});
  EXPECT_EQ(rotary(read(with(tiny("llama"), {{"rope_scaling", equal}}))).high_freq_factor, 1.0);
  const ModelSpec scaling_first =
      read(with(tiny("llama"), {{"rope_scaling", llama3}, {"rope_parameters", {{"rope_type", "default"}}}}));
  EXPECT_EQ(rotary(scaling_first).kind, RotarySpec::Kind::llama3);
  EXPECT_EQ(scaling_first.notes.size(), 1u);
}

TEST(Notes, SayWhatWasIgnored) {
  const ModelSpec spec = read(with(tiny("llama"), {{"auto_map", {{"AutoModel", "evil.Model"}}}}));
  ASSERT_EQ(spec.notes.size(), 1u);
  EXPECT_TRUE(contains(spec.notes[0], "auto_map"));
}

// ---- tests/unit/field: keys and values of published files that went wrong once. Every number was worked out by hand.

const std::filesystem::path kField = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/unit/field";

TEST(Heads, FollowTheClassThatTheConfigNames) {
  // Llama 3.1 8B has 8,030,261,248; its LM head of 128256 x 4096 gives way to one row.
  const ModelSpec reward = read_model(kField / "reward-llama-3.1-8b-seqcls.json");
  EXPECT_EQ(count_parameters(reward).total, 7504928768);
  EXPECT_EQ(count_parameters(reward).active, 7504928768 - 128256 * 4096);
  const LayerPlan score = plan_head(reward, 3, {});
  EXPECT_EQ(score.ops.back().component, "score");
  EXPECT_EQ(score.buffer(BufferRole::output).shape, (Shape{3, 1}));
  EXPECT_EQ(score.weights.back().sources.front().tensor, "score.weight");

  // Published under the causal class, without its LM head: 151665 x 4096 less than with it.
  const auto embedding = kField / "embedding-qwen3-8b-no-lm-head.json";
  const std::string said = bad_input([&] { read_model(embedding); });
  for (const char* part : {": architectures: ", "--architecture Qwen3Model", "Qwen3ForCausalLM (with an LM head)"})
    EXPECT_TRUE(contains(said, part)) << said;
  const ModelSpec bare = read_model(embedding, "Qwen3Model");
  EXPECT_EQ(count_parameters(bare).total, 7567295488);
  EXPECT_EQ(count_parameters(bare).active, 7567295488 - 151665 * 4096);
  EXPECT_EQ(plan_head(bare, 2, {}).ops.size(), 1u) << "the final norm alone";
  EXPECT_EQ(count_parameters(read_model(embedding, "Qwen3ForCausalLM")).total, 7567295488 + 151665 * 4096);
  EXPECT_TRUE(contains(bad_input([&] { read_model(embedding, "Qwen3Modell"); }), "did you mean 'Qwen3Model'?"));
  EXPECT_TRUE(contains(bad_input([&] { read_model(embedding, "LlamaModel"); }), "no class of model_type qwen3"));

  for (const char* file : {"draft-eagle3-llama3-8b.json", "draft-dflash-qwen3-4b.json"}) {
    const std::string refusal = bad_input([&] { read_model(kField / file); });
    EXPECT_TRUE(contains(refusal, "is a draft head")) << refusal;
  }
}

TEST(Heads, OfTiedModelsAndOthers) {
  const auto count = [](const Json& change) { return count_parameters(read(with(tiny("qwen3"), change))); };
  const ParameterCount language = count({{"architectures", {"Qwen3ForCausalLM"}}});
  EXPECT_EQ(language.total, count(Json::object()).total) << "without architectures it is the causal class";
  EXPECT_EQ(language.active, language.active_with_embedding) << "tied: the embedding is the head's matrix";
  // A head of scores is no embedding, whatever tie_word_embeddings says: 2 labels x 64 more in all.
  const ParameterCount score = count({{"architectures", {"Qwen3ForSequenceClassification"}}});
  EXPECT_EQ(score.total, language.total + 2 * 64);
  EXPECT_EQ(score.active, language.active - 100 * 64 + 2 * 64);
  EXPECT_EQ(count({{"architectures", {"Qwen3ForSequenceClassification"}}, {"num_labels", 5}}).active,
            score.active + 3 * 64);
  EXPECT_EQ(count({{"architectures", {"Qwen3Model"}}}).active, language.active - 100 * 64);

  TempDir dir;
  const auto file = dir.write("m/config.json", with(tiny("qwen3"), {{"architectures", {"Qwen3ForCausalLM"}}}).dump());
  EXPECT_EQ(read_model(file).head.kind, HeadSpec::Kind::language);
  dir.write("m/modules.json", "[]");
  EXPECT_EQ(read_model(file).head.kind, HeadSpec::Kind::none);
  EXPECT_TRUE(contains(read_model(file).notes.at(0), "sentence-transformers"));
  dir.write("vl/config.json", Json{{"model_type", "qwen3_vl"},
                                   {"architectures", {"Qwen3VLForConditionalGeneration"}},
                                   {"text_config", tiny("qwen3")}}
                                  .dump());
  EXPECT_EQ(read_model(dir.path() / "vl").head.kind, HeadSpec::Kind::language);
  dir.write("vl/config_sentence_transformers.json", "{}");
  EXPECT_EQ(read_model(dir.path() / "vl").head.kind, HeadSpec::Kind::none);
}

// Qwen3-VL-4B's language part is Qwen3-4B with another theta.
TEST(Multimodal, TheLanguagePartIsMeasuredAndSaidSo) {
  const ModelSpec m = read_model(kField / "vl-qwen3-vl-4b-dense.json");
  EXPECT_EQ(count_parameters(m).total, 4022468096);
  EXPECT_TRUE(m.tied_embeddings);
  EXPECT_EQ(m.max_position, 262144);
  EXPECT_EQ(rotary(m).theta, 5e6);
  EXPECT_TRUE(qk_norm(m));
  ASSERT_EQ(m.notes.size(), 1u);
  EXPECT_TRUE(contains(m.notes[0], "language part alone"));

  // Either place says that the matrices are one.
  Json inner = tiny("qwen3");
  inner["tie_word_embeddings"] = false;
  const auto nested = [&](bool outside) {
    return read(Json{{"model_type", "qwen3_vl"}, {"text_config", inner}, {"tie_word_embeddings", outside}});
  };
  EXPECT_FALSE(nested(false).tied_embeddings);
  EXPECT_TRUE(nested(true).tied_embeddings);
  inner["quantization_config"] = {{"quant_method", "awq"}};
  EXPECT_TRUE(contains(bad_input([&] { nested(false); }), "text_config.quantization_config"));
  // Qwen2-VL's first files have one level, and three sections of rotated pairs, which for text are one.
  const ModelSpec flat = read(with(tiny("qwen2"), {{"model_type", "qwen2_vl"},
                                                   {"architectures", {"Qwen2VLForConditionalGeneration"}},
                                                   {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {2, 3, 3}}}},
                                                   {"vision_config", {{"depth", 32}}}}));
  EXPECT_EQ(flat.model_type, "qwen2");
  EXPECT_EQ(rotary(flat).kind, RotarySpec::Kind::plain);
}

TEST(Windows, BoundTheCacheThatIsNeeded) {
  const ModelSpec m = read_model(kField / "sliding-window-4096-mixtral-rev0.json");
  Scenario s;
  s.context = 32767;
  const MemoryNeed need = memory_need(m, s, 1e12);
  EXPECT_EQ(need.kv_held_bytes, 32.0 * 2 * 8 * 128 * 2 * 32768);  // layers, K and V, heads, dims, bytes, positions
  EXPECT_EQ(need.kv_bytes, 32.0 * 2 * 8 * 128 * 2 * 4096);
  s.context = 4000;
  EXPECT_EQ(memory_need(m, s, 1e12).kv_bytes, memory_need(m, s, 1e12).kv_held_bytes);
  // Half of the layers slide.
  const ModelSpec half =
      read(with(tiny("qwen2"), {{"use_sliding_window", true}, {"sliding_window", 100}, {"max_window_layers", 2}}));
  s.context = 399;
  EXPECT_EQ(memory_need(half, s, 1e12).kv_bytes, 2.0 * 2 * 2 * 16 * 2 * (400 + 100));
}

TEST(Field, YarnOfAnOrdinaryModelChangesNoSize) {
  const ModelSpec m = read_model(kField / "yarn-deepseek-r1-0528-qwen3-8b.json");
  EXPECT_EQ(count_parameters(m).total, 8190735360);  // Qwen3-8B's
  EXPECT_EQ(rotary(m).kind, RotarySpec::Kind::yarn);
}

TEST(Field, PythonsInfinityIsNamed) {
  const std::string said = bad_input([&] { read_model(kField / "python-infinity-literal.json"); });
  EXPECT_TRUE(contains(said, "line 1, column 765")) << said;
  EXPECT_TRUE(contains(said, "Infinity is no JSON (Python's json module writes it)")) << said;
}

// A published one has 3.09 MB.
TEST(Field, LongConfigsAreRead) {
  Json config = tiny("llama");
  for (int i = 0; i < 60000; ++i)
    config["id2label"][std::to_string(i)] = "a label of fifty characters, some of them filler....";
  ASSERT_GT(config.dump().size(), std::size_t{3'090'000});
  EXPECT_EQ(read(config).hidden, 64);
}

const std::filesystem::path kQuantised = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests/unit/quantised";

// The files beside this test have the keys and values of published ones.
TEST(Quantised, WhatIsNotKnownIsRefusedWithFileKeyMethodAndWhatToDo) {
  const std::filesystem::path& folder = kQuantised;
  struct Row {
    std::filesystem::path path;
    const char *place, *method;
  };
  const Row rows[] = {
      {folder / "mlx", "mlx/config.json: quantization: ", "4 bits"},
      {folder / "mlx/config.json", "mlx/config.json: quantization: ", "4 bits"},
      {folder / "compressed-tensors", "config.json: compression_config.format: ", "int-quantized"},
  };
  for (const Row& row : rows) {
    const std::string said = bad_input([&] { read_model(row.path); });
    for (const char* part : {row.place, row.method, "expected"})
      EXPECT_TRUE(contains(said, part)) << row.path << ": " << said;
    EXPECT_FALSE(contains(said, "\n"));
  }
}

// Every matrix of the layer, "name format" each.
std::string formats(const ModelSpec& m, std::int64_t layer) {
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  std::string out;
  for (const WeightSpec& w : plan_layer(m, m.layer(layer), shape).weights)
    if (w.shape.size() > 1) out += fmt::format("{} {}, ", w.name, w.format->name);
  return out;
}

TEST(Quantised, EveryMatrixHasTheFormatThatItsConfigGivesIt) {
  const ModelSpec m = read_model(kQuantised / "nvfp4");
  EXPECT_EQ(formats(m, 0), "qkv_w nvfp4, o_w nvfp4, router_w bf16, experts_gate_up nvfp4, experts_down nvfp4, ");
  EXPECT_EQ(m.kinds.size(), 1u);
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  // 128 experts of (3072 x 4096 + 4096 x 1536) codes of 4 bits, a byte for each 16, a factor for each matrix.
  const auto down = [&] {
    for (const WeightSpec& w : plan_layer(m, m.kinds.front(), shape).weights)
      if (w.name == "experts_down") return w;
    return WeightSpec{};
  };
  EXPECT_EQ(down().bytes(), 128 * (4096.0 * 1536 / 2 + 4096.0 * 1536 / 16 + 4));
  // Every op that multiplies with a matrix takes it in its format.
  for (const PlannedOp& p : plan_layer(m, m.kinds.front(), shape).ops) {
    const std::string type = p.op_case.word("w_type", "");
    EXPECT_EQ(type == "nvfp4", p.component == "experts" || p.component == "qkv" || p.component == "o") << p.component;
  }
  // A format of the user's own comes before the config's.
  shape.weights = WeightTypes::of(weight_format("q8_0"), DType::bf16);
  EXPECT_EQ(down().format->name, "q8_0");
  EXPECT_NE(canonical_text(m), canonical_text([&] {
              ModelSpec plain = m;
              plain.quantization = nullptr;
              return plain;
            }()));
}

TEST(Quantised, LayersThatAListSinglesOutAreAKindOfTheirOwn) {
  Json config = tiny("qwen3");
  config.update({{"hidden_size", 128}, {"intermediate_size", 128}, {"head_dim", 32}});
  config["quantization_config"] = {{"quant_method", "awq"},
                                   {"bits", 4},
                                   {"group_size", 128},
                                   {"modules_to_not_convert", {"model.layers.0", "model.layers.2.mlp", "lm_head"}}};
  const ModelSpec m = read(config);
  ASSERT_EQ(m.kinds.size(), 3u);
  EXPECT_EQ(formats(m, 0), "qkv_w bf16, o_w bf16, gate_up_w bf16, down_w bf16, ");
  EXPECT_EQ(formats(m, 1), "qkv_w int4_g128_zp, o_w int4_g128_zp, gate_up_w int4_g128_zp, down_w int4_g128_zp, ");
  EXPECT_EQ(formats(m, 2), "qkv_w int4_g128_zp, o_w int4_g128_zp, gate_up_w bf16, down_w bf16, ");
  EXPECT_EQ(formats(m, 3), formats(m, 1));
  EXPECT_EQ(m.kinds[0].name, "dense");
  EXPECT_NE(m.kinds[1].name, m.kinds[2].name);
  EXPECT_EQ(m.count_of(m.layer(1)), 2);
}

TEST(Quantised, WhatCannotBeIsRefused) {
  Json config = tiny("qwen3");
  config.update({{"hidden_size", 128}, {"intermediate_size", 128}, {"head_dim", 32}});
  const auto awq = [&](const Json& change = Json::object()) {
    Json c = config;
    c["quantization_config"] = {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 128}};
    c["quantization_config"].update(change);
    return bad_input([&] { read(c); });
  };
  EXPECT_EQ(awq(), "");
  EXPECT_TRUE(contains(awq({{"modules_to_not_convert", {"q_proj"}}}), "q_proj.weight is left as it was"));
  EXPECT_TRUE(contains(awq({{"modules_to_not_convert", {"model.layers"}}}), "no matrix of the layers is quantised"));
  config["hidden_size"] = 192;
  EXPECT_TRUE(contains(awq(), "has rows of 192, no multiple of the 128 that share a scale in int4_g128_zp"));
  config["hidden_size"] = 128;
  config["compression_config"] = {{"quant_method", "fbgemm_fp8"}};
  EXPECT_TRUE(contains(awq(), "two methods in one checkpoint"));
}

TEST(Quantised, OlderToolsWriteAFileBesideAndNamesSaySo) {
  TempDir dir;
  dir.write("old/config.json", tiny("llama").dump());
  dir.write("old/quantize_config.json", R"({"bits": 4, "group_size": 128, "desc_act": false, "sym": true})");
  EXPECT_TRUE(contains(bad_input([&] { read_model(dir.path() / "old"); }), "no multiple of the 128"));
  Json wide = tiny("llama");
  wide["hidden_size"] = wide["intermediate_size"] = 128;
  wide["head_dim"] = 32;
  dir.write("old/config.json", wide.dump());
  EXPECT_EQ(read_model(dir.path() / "old").quantization->main_format().name, "int4_g128");
  dir.write("Tiny-AWQ/config.json", tiny("llama").dump());
  EXPECT_TRUE(contains(read_model(dir.path() / "Tiny-AWQ").notes.at(0), "the name is one of a quantised model"));
}

TEST(Quantised, OnlyTheCacheIsNoReason) {
  TempDir dir;
  const auto config = dir.write("m/config.json", tiny("llama").dump());
  const auto beside = [&](const char* text) {
    dir.write("m/hf_quant_config.json", text);
    return bad_input([&] { read_model(config); });
  };
  EXPECT_EQ(beside(R"({"quantization": {"quant_algo": null, "kv_cache_quant_algo": "FP8"}})"), "");
  EXPECT_EQ(beside(R"({"quantization": {"quant_algo": "FP8"}})"), "");
  EXPECT_TRUE(contains(beside(R"({"quantization": {"quant_algo": "FP9"}})"), "\"FP9\""));
  EXPECT_TRUE(contains(beside(R"({"quantization": {}})"), "quant_algo"));
  EXPECT_TRUE(contains(beside("{}"), "hf_quant_config.json: quantization: "));
  EXPECT_TRUE(contains(beside("not json"), "hf_quant_config.json: "));
}

// --- bad configs ---

struct BadConfig {
  const char* what;
  const char* model_type;
  Json change;                    // merged into the tiny config
  std::vector<const char*> said;  // parts of the message; the first is the place
};

std::vector<BadConfig> bad_configs() {
  const Json null = nullptr;
  return {
      {"no model_type", "llama", {{"model_type", null}}, {": model_type: ", "missing"}},
      {"model_type no text", "llama", {{"model_type", 7}}, {": model_type: ", "expected a text, got 7"}},
      {"unknown model_type",
       "llama",
       {{"model_type", "mamba2"}},
       {": model_type: ", "mamba2",
        "deepseek_v2, deepseek_v3, deepseek_v32, ernie4_5_moe, gemma4, glm4_moe, glm_moe_dsa, gpt_oss, hunyuan_v1_moe, "
        "llama, llama4, minimax, "
        "minimax_m2, ministral, ministral3, mistral, mixtral, olmoe, qwen2, qwen3, qwen3_5, qwen3_5_moe, qwen3_moe, "
        "qwen3_next"}},
      {"misspelt model_type", "llama", {{"model_type", "qwen3-moe"}}, {": model_type: ", "did you mean 'qwen3_moe'?"}},
      {"model_type with an escape",
       "llama",
       {{"model_type", "\x1b[31mllama"}},
       {": model_type: ", "control characters"}},
      {"nested text_config",
       "llama",
       {{"text_config", {{"hidden_size", 4}}}},
       {": text_config.model_type: ", "missing"}},
      {"text_config of an unknown type",
       "llama",
       {{"text_config", {{"model_type", "qwen3_vl_txt"}}}},
       {": text_config.model_type: ", "did you mean 'qwen3_vl_text'?"}},
      {"text_config without sizes",
       "llama",
       {{"text_config", {{"model_type", "llama"}}}},
       {": text_config.hidden_size: ", "missing"}},
      {"text_config no object", "llama", {{"text_config", 7}}, {": text_config: ", "expected an object, got 7"}},
      {"architectures no list", "llama", {{"architectures", "LlamaModel"}}, {": architectures: ", "expected a list"}},
      {"architectures of another family",
       "llama",
       {{"architectures", {"Qwen3ForCausalLM"}}},
       {": architectures: ", "\"Qwen3ForCausalLM\" is no class of model_type llama", "LlamaForCausalLM"}},
      {"architectures of remote code",
       "qwen2",
       {{"architectures", {"Qwen2ForProcessRewardModel"}}},
       {": architectures: ", "Qwen2ForProcessRewardModel", "--architecture Qwen2ForCausalLM"}},
      {"two counts of labels",
       "qwen3",
       {{"architectures", {"Qwen3ForSequenceClassification"}}, {"num_labels", 5}, {"id2label", {{"0", "a"}}}},
       {": num_labels: ", "is 5, but id2label has 1"}},
      {"attention that looks both ways", "qwen2", {{"is_causal", false}}, {": is_causal: ", "later tokens"}},
      {"the same by another key",
       "llama",
       {{"use_bidirectional_attention", true}},
       {": use_bidirectional_attention: ", "later tokens"}},
      {"quantised, said flat", "llama", {{"quant_algo", "FP8"}}, {": quant_algo: ", "quantised weights (FP8)"}},
      {"quantised, said by the type",
       "llama",
       {{"torch_dtype", "float8_e4m3fn"}},
       {": torch_dtype: ", "quantised weights (float8_e4m3fn)", "expected a quantization_config"}},
      {"quantised by ModelOpt's key",
       "llama",
       {{"quantization_config", {{"quant_algo", "NVFP5"}}}},
       {": quantization_config.quant_algo: ", "\"NVFP5\""}},
      {"no labels",
       "qwen3",
       {{"architectures", {"Qwen3ForSequenceClassification"}}, {"id2label", Json::object()}},
       {": id2label: ", "at least one label"}},
      {"hidden missing", "llama", {{"hidden_size", null}}, {": hidden_size: ", "missing"}},
      {"hidden misspelt", "llama", {{"hidden_size", null}, {"hiden_size", 64}}, {": hidden_size: ", "'hiden_size'"}},
      {"hidden zero", "llama", {{"hidden_size", 0}}, {": hidden_size: ", "1..1048576", "got 0"}},
      {"hidden negative", "llama", {{"hidden_size", -64}}, {": hidden_size: ", "got -64"}},
      {"hidden too large", "llama", {{"hidden_size", 1048577}}, {": hidden_size: ", "got 1048577"}},
      {"hidden 2^63", "llama", {{"hidden_size", 9223372036854775808u}}, {": hidden_size: ", "9223372036854775808"}},
      {"hidden 1e308", "llama", {{"hidden_size", 1e308}}, {": hidden_size: ", "1e+308"}},
      {"hidden fraction", "llama", {{"hidden_size", 64.5}}, {": hidden_size: ", "64.5"}},
      {"hidden text", "llama", {{"hidden_size", "64"}}, {": hidden_size: ", "got \"64\""}},
      {"hidden list", "llama", {{"hidden_size", {64}}}, {": hidden_size: ", "a list of 1"}},
      {"hidden bool", "llama", {{"hidden_size", true}}, {": hidden_size: ", "true"}},
      {"layers missing", "llama", {{"num_hidden_layers", null}}, {": num_hidden_layers: "}},
      {"layers zero", "llama", {{"num_hidden_layers", 0}}, {": num_hidden_layers: ", "1..4096"}},
      {"layers too many", "llama", {{"num_hidden_layers", 4097}}, {": num_hidden_layers: ", "4097"}},
      {"vocab missing", "llama", {{"vocab_size", null}}, {": vocab_size: "}},
      {"vocab negative", "llama", {{"vocab_size", -1}}, {": vocab_size: ", "-1"}},
      {"vocab too large", "llama", {{"vocab_size", 1 << 25}}, {": vocab_size: "}},
      {"heads missing", "llama", {{"num_attention_heads", null}}, {": num_attention_heads: "}},
      {"heads zero", "llama", {{"num_attention_heads", 0}}, {": num_attention_heads: "}},
      {"heads too many", "llama", {{"num_attention_heads", 1 << 20}}, {": num_attention_heads: "}},
      {"kv_heads zero", "llama", {{"num_key_value_heads", 0}}, {": num_key_value_heads: "}},
      {"kv_heads more than heads",
       "llama",
       {{"num_key_value_heads", 8}},
       {": num_key_value_heads: ", "not a multiple"}},
      {"heads not divisible", "llama", {{"num_key_value_heads", 3}}, {": num_key_value_heads: ", "(4)", "(3)"}},
      {"hidden not divisible", "llama", {{"hidden_size", 66}}, {": hidden_size: ", "head_dim is absent"}},
      {"head_dim odd", "llama", {{"head_dim", 15}}, {": head_dim: ", "even", "15"}},
      {"head_dim odd by division", "llama", {{"hidden_size", 60}}, {": head_dim: ", "15"}},
      {"head_dim below two by division", "llama", {{"hidden_size", 4}}, {": hidden_size: ", "is 1"}},
      {"head_dim zero", "llama", {{"head_dim", 0}}, {": head_dim: "}},
      {"head_dim too large", "llama", {{"head_dim", 8194}}, {": head_dim: "}},
      {"head_dim text", "qwen3", {{"head_dim", "128"}}, {": head_dim: "}},
      {"ffn missing", "llama", {{"intermediate_size", null}}, {": intermediate_size: "}},
      {"ffn zero", "llama", {{"intermediate_size", 0}}, {": intermediate_size: "}},
      {"ffn list", "llama", {{"intermediate_size", {96, 96}}}, {": intermediate_size: ", "a list of 2"}},
      {"activation", "llama", {{"hidden_act", "gelu"}}, {": hidden_act: ", "silu", "gelu"}},
      {"activation number", "llama", {{"hidden_act", 3}}, {": hidden_act: "}},
      {"eps zero", "llama", {{"rms_norm_eps", 0}}, {": rms_norm_eps: "}},
      {"eps negative", "llama", {{"rms_norm_eps", -1e-6}}, {": rms_norm_eps: "}},
      {"eps large", "llama", {{"rms_norm_eps", 2}}, {": rms_norm_eps: "}},
      {"eps text", "llama", {{"rms_norm_eps", "1e-6"}}, {": rms_norm_eps: "}},
      {"positions negative", "llama", {{"max_position_embeddings", -1}}, {": max_position_embeddings: "}},
      {"tied text", "llama", {{"tie_word_embeddings", "yes"}}, {": tie_word_embeddings: ", "true or false"}},
      {"bias number", "llama", {{"attention_bias", 1}}, {": attention_bias: "}},
      {"mlp_bias text", "llama", {{"mlp_bias", "no"}}, {": mlp_bias: "}},
      {"theta zero", "llama", {{"rope_theta", 0}}, {": rope_theta: "}},
      {"theta text", "llama", {{"rope_theta", "1e6"}}, {": rope_theta: "}},
      {"theta inside negative",
       "llama",
       {{"rope_parameters", {{"rope_theta", -1}}}},
       {": rope_parameters.rope_theta: "}},
      {"rope_scaling list", "llama", {{"rope_scaling", {1}}}, {": rope_scaling: ", "expected an object"}},
      {"rope yarn", "llama", {{"rope_scaling", {{"type", "yarn"}}}}, {": rope_scaling.factor: ", "missing"}},
      {"rope yarn theta one",
       "llama",
       {{"rope_theta", 1}, {"rope_scaling", {{"type", "yarn"}, {"factor", 4}}}},
       {": rope_scaling.rope_theta: ", "more than 1"}},
      {"rope yarn factor below one",
       "llama",
       {{"rope_scaling", {{"type", "yarn"}, {"factor", 0.5}}}},
       {": rope_scaling.factor: "}},
      {"rope longrope",
       "qwen3",
       {{"rope_scaling", {{"rope_type", "longrope"}}}, {"head_dim", 16}},
       {": rope_scaling.rope_type: ", "longrope", "default, dynamic, linear, llama3, mrope, yarn"}},
      {"rope dynamic with a negative alpha",
       "llama",
       {{"rope_parameters", {{"rope_type", "dynamic"}, {"alpha", -2}}}},
       {": rope_parameters.alpha: "}},
      {"rope misspelt",
       "llama",
       {{"rope_scaling", {{"rope_type", "lama3"}}}},
       {": rope_scaling.rope_type: ", "did you mean 'llama3'?"}},
      {"rope per layer",
       "llama",
       {{"rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}}},
       {": rope_parameters.full_attention: "}},
      {"rope linear without factor",
       "llama",
       {{"rope_scaling", {{"type", "linear"}}}},
       {": rope_scaling.factor: ", "missing"}},
      {"rope factor below one",
       "llama",
       {{"rope_scaling", {{"type", "linear"}, {"factor", 0.5}}}},
       {": rope_scaling.factor: "}},
      {"llama3 without low",
       "llama",
       {{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}, {"high_freq_factor", 4}}}},
       {": rope_scaling.low_freq_factor: ", "nearest key there is 'high_freq_factor'"}},
      {"llama3 high below low",
       "llama",
       {{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 1}}}},
       {": rope_scaling.high_freq_factor: "}},
      {"llama3 without original",
       "llama",
       {{"max_position_embeddings", null},
        {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}}}},
       {": rope_scaling.original_max_position_embeddings: "}},
      {"partial rotary", "llama", {{"partial_rotary_factor", 0.5}}, {": partial_rotary_factor: "}},
      {"partial rotary inside",
       "llama",
       {{"rope_parameters", {{"partial_rotary_factor", 0.25}}}},
       {": rope_parameters.partial_rotary_factor: "}},
      {"window zero", "mixtral", {{"sliding_window", 0}}, {": sliding_window: "}},
      {"window text", "qwen2", {{"use_sliding_window", true}, {"sliding_window", "all"}}, {": sliding_window: "}},
      {"use window number", "qwen2", {{"use_sliding_window", 1}}, {": use_sliding_window: "}},
      {"max_window_layers negative", "qwen3", {{"max_window_layers", -1}, {"head_dim", 16}}, {": max_window_layers: "}},
      {"layer_types short",
       "qwen3",
       {{"layer_types", {"full_attention"}}, {"head_dim", 16}},
       {": layer_types: ", "(4)", "a list of 1"}},
      {"layer_types long",
       "llama",
       {{"layer_types", Json(std::vector<std::string>(5, "full_attention"))}},
       {": layer_types: "}},
      {"layer_types unknown",
       "qwen3",
       {{"layer_types", {"full_attention", "linear_attention", "full_attention", "full_attention"}}, {"head_dim", 16}},
       {": layer_types[1]: ", "linear_attention"}},
      {"layer_types no list", "qwen3", {{"layer_types", "full_attention"}, {"head_dim", 16}}, {": layer_types: "}},
      {"layer_types numbers", "qwen3", {{"layer_types", {1, 2, 3, 4}}, {"head_dim", 16}}, {": layer_types[0]: "}},
      {"layer_types contradict",
       "llama",
       {{"layer_types", {"full_attention", "full_attention", "sliding_attention", "full_attention"}}},
       {": layer_types[2]: "}},
      {"experts missing", "mixtral", {{"num_local_experts", null}}, {": num_local_experts: ", "missing"}},
      {"experts missing", "qwen3_moe", {{"num_experts", null}}, {": num_experts: ", "missing"}},
      {"experts zero", "qwen3_moe", {{"num_experts", 0}}, {": num_experts: "}},
      {"experts too many", "qwen3_moe", {{"num_experts", 1 << 20}}, {": num_experts: "}},
      {"experts list", "qwen3_moe", {{"num_experts", {8, 8}}}, {": num_experts: "}},
      {"experts contradict", "qwen3_moe", {{"num_local_experts", 16}}, {": num_experts: ", "contradicts"}},
      {"top_k missing", "mixtral", {{"num_experts_per_tok", null}}, {": num_experts_per_tok: "}},
      {"top_k zero", "mixtral", {{"num_experts_per_tok", 0}}, {": num_experts_per_tok: "}},
      {"top_k above experts", "mixtral", {{"num_experts_per_tok", 9}}, {": num_experts_per_tok: ", "9 of 8"}},
      {"top_k above experts", "qwen3_moe", {{"num_experts_per_tok", 9}}, {": num_experts_per_tok: ", "9 of 8"}},
      {"expert width missing",
       "qwen3_moe",
       {{"moe_intermediate_size", null}},
       {": moe_intermediate_size: ", "missing"}},
      {"expert width negative", "qwen3_moe", {{"moe_intermediate_size", -1}}, {": moe_intermediate_size: "}},
      {"expert width list", "qwen3_moe", {{"moe_intermediate_size", {32, 32}}}, {": moe_intermediate_size: "}},
      {"mixtral width missing", "mixtral", {{"intermediate_size", null}}, {": intermediate_size: "}},
      {"norm_topk_prob number", "qwen3_moe", {{"norm_topk_prob", 1}}, {": norm_topk_prob: "}},
      {"sparse step zero", "qwen3_moe", {{"decoder_sparse_step", 0}}, {": decoder_sparse_step: "}},
      {"dense layer beyond the last", "qwen3_moe", {{"mlp_only_layers", {4}}}, {": mlp_only_layers[0]: ", "0..3"}},
      {"dense layer negative", "qwen3_moe", {{"mlp_only_layers", {0, -1}}}, {": mlp_only_layers[1]: "}},
      {"dense layers no list", "qwen3_moe", {{"mlp_only_layers", 1}}, {": mlp_only_layers: "}},
      {"dense layer without width",
       "qwen3_moe",
       {{"mlp_only_layers", {0}}, {"intermediate_size", null}},
       {": intermediate_size: "}},
      {"mlp_layer_types contradict",
       "qwen3_moe",
       {{"mlp_layer_types", {"sparse", "sparse", "dense", "sparse"}}},
       {": mlp_layer_types[2]: "}},
      {"shared expert",
       "qwen3_moe",
       {{"shared_expert_intermediate_size", 64}},
       {": shared_expert_intermediate_size: "}},
      {"quantised",
       "llama",
       {{"quantization_config", {{"quant_method", "fp7"}}}},
       {": quantization_config.quant_method: ", "\"fp7\"", "'fp8'"}},
      {"quantised, no method",
       "llama",
       {{"quantization_config", {{"weights", "odd"}}}},
       {": quantization_config.quant_method: missing"}},
      {"quantisation no object", "llama", {{"quantization_config", 8}}, {": quantization_config: "}},
      {"groups that do not divide",
       "deepseek_v3",
       {{"n_group", 5}},
       {": n_group: ", "5 groups do not divide 16 experts"}},
      {"groups of one", "deepseek_v3", {{"n_group", 16}}, {": n_group: ", "at most 8 groups, got 16"}},
      {"more groups chosen than there are", "deepseek_v3", {{"topk_group", 5}}, {": topk_group: ", "5 of 4 groups"}},
      {"too few in the chosen groups",
       "deepseek_v3",
       {{"topk_group", 1}, {"num_experts_per_tok", 5}},
       {": topk_group: ", "do not hold the 5"}},
      {"no groups where they are limited",
       "deepseek_v2",
       {{"topk_method", "group_limited_greedy"}, {"n_group", null}},
       {": n_group: ", "missing"}},
      {"dense layers beyond the last",
       "deepseek_v3",
       {{"first_k_dense_replace", 5}},
       {": first_k_dense_replace: ", "num_hidden_layers (4), got 5"}},
      {"experts in every second layer", "deepseek_v2", {{"moe_layer_freq", 2}}, {": moe_layer_freq: ", "got 2"}},
      {"contradictory kinds of layer",
       "deepseek_v3",
       {{"mlp_layer_types", {"dense", "dense", "sparse", "sparse"}}},
       {": mlp_layer_types[1]: ", "contradicts first_k_dense_replace (1)"}},
      {"another scoring function",
       "deepseek_v3",
       {{"scoring_func", "softmax"}},
       {": scoring_func: ", "\"softmax\" is not what", "sigmoid"}},
      {"a misspelt scoring function",
       "deepseek_v2",
       {{"scoring_func", "softmx"}},
       {": scoring_func: ", "did you mean 'softmax'?"}},
      {"an unknown choice", "deepseek_v2", {{"topk_method", "noaux_tc"}}, {": topk_method: ", "group_limited_greedy"}},
      {"an odd rotated part", "deepseek_v3", {{"qk_rope_head_dim", 7}}, {": qk_rope_head_dim: ", "even", "got 7"}},
      {"fewer keys than heads",
       "deepseek_v3",
       {{"num_key_value_heads", 2}},
       {": num_key_value_heads: ", "expected 4", "got 2"}},
      {"no selection", "deepseek_v32", {{"index_topk", null}}, {": index_topk: ", "missing"}},
      {"nothing selected", "glm_moe_dsa", {{"index_topk", 0}}, {": index_topk: ", "got 0"}},
      {"no index heads", "deepseek_v32", {{"index_n_heads", 0}}, {": index_n_heads: ", "got 0"}},
      {"index heads without dimensions", "glm_moe_dsa", {{"index_head_dim", null}}, {": index_head_dim: ", "missing"}},
      {"an index head smaller than what is turned",
       "deepseek_v32",
       {{"index_head_dim", 6}},
       {": index_head_dim: ", "at least qk_rope_head_dim (8)", "got 6"}},
      {"no latent for index queries", "deepseek_v32", {{"q_lora_rank", null}}, {": q_lora_rank: ", "missing"}},
      {"an odd rotated part", "glm_moe_dsa", {{"qk_rope_head_dim", 7}}, {": qk_rope_head_dim: ", "even", "got 7"}},
      {"a selection in another family", "deepseek_v3", {{"index_topk", 6}}, {": index_topk: ", "sparse attention"}},
      {"shared selections in another family",
       "deepseek_v32",
       {{"index_topk_freq", 4}},
       {": index_topk_freq: 4 changes", "share a selection"}},
      {"a first layer that shares",
       "glm_moe_dsa",
       {{"indexer_types", {"shared", "full", "full", "full"}}},
       {": indexer_types: ", "a first layer with an indexer"}},
      {"a layer too few", "glm_moe_dsa", {{"indexer_types", {"full", "full", "full"}}}, {": indexer_types: ", "(4)"}},
      {"an unknown kind of indexer",
       "glm_moe_dsa",
       {{"indexer_types", {"full", "ful", "full", "full"}}},
       {": indexer_types[1]: ", "did you mean 'full'?"}},
      {"a pattern of another length",
       "glm_moe_dsa",
       {{"index_topk_pattern", "FS"}},
       {": index_topk_pattern: ", "got 2"}},
      {"an unknown letter", "glm_moe_dsa", {{"index_topk_pattern", "FSXS"}}, {": index_topk_pattern: ", "'X'"}},
      {"kinds of indexer that contradict the rule",
       "glm_moe_dsa",
       {{"indexer_types", {"full", "shared", "full", "shared"}}, {"index_topk_freq", 2}},
       {": index_topk_freq: ", "makes layer 1 full", "indexer_types calls it shared"}},
      {"halves in the indexer",
       "glm_moe_dsa",
       {{"indexer_rope_interleave", false}},
       {": indexer_rope_interleave: ", "expected true"}},
      {"no latent", "deepseek_v3", {{"kv_lora_rank", null}}, {": kv_lora_rank: ", "missing"}},
      {"neither q_lora_rank nor null", "deepseek_v3", {{"q_lora_rank", null}}, {": q_lora_rank: ", "missing"}},
      {"no word on shared experts", "deepseek_v2", {{"n_shared_experts", null}}, {": n_shared_experts: ", "missing"}},
      {"an odd part of each head",
       "glm4_moe",
       {{"partial_rotary_factor", 0.2}},
       {": partial_rotary_factor: ", "of head_dim 16 is 3", "even"}},
      {"more than the whole head", "glm4_moe", {{"partial_rotary_factor", 1.5}}, {": partial_rotary_factor: ", "1.5"}},
      {"another scoring function of GLM", "glm4_moe", {{"scoring_func", "softmax"}}, {": scoring_func: ", "sigmoid"}},
      {"groups of GLM that do not divide",
       "glm4_moe",
       {{"n_group", 3}, {"topk_group", 1}},
       {": n_group: ", "3 groups do not divide 16 experts"}},
      {"dense layers of GLM beyond the last",
       "glm4_moe",
       {{"first_k_dense_replace", 5}},
       {": first_k_dense_replace: ", "got 5"}},
      {"more experts chosen than ERNIE has",
       "ernie4_5_moe",
       {{"moe_k", 17}},
       {": moe_k: ", "chooses 17 of 16 experts"}},
      {"two numbers of experts chosen", "ernie4_5_moe", {{"num_experts_per_tok", 4}}, {": moe_k: ", "3 contradicts"}},
      {"experts of two kinds", "ernie4_5_moe", {{"moe_num_experts", {16, 16}}}, {": moe_num_experts: "}},
      {"experts from behind the last layer",
       "ernie4_5_moe",
       {{"moe_layer_start_index", 5}},
       {": moe_layer_start_index: ", "num_hidden_layers (4), got 5"}},
      {"experts to behind the last layer",
       "ernie4_5_moe",
       {{"moe_layer_end_index", 4}},
       {": moe_layer_end_index: ", "-1 or less than num_hidden_layers (4), got 4"}},
      {"an interval of nothing", "ernie4_5_moe", {{"moe_layer_interval", 0}}, {": moe_layer_interval: "}},
      {"weights divided by more than their sum", "ernie4_5_moe", {{"moe_norm_min", 0.5}}, {": moe_norm_min: ", "0.5"}},
      {"clipped q, k and v", "olmoe", {{"clip_qkv", 8.0}}, {": clip_qkv: ", "8", "null"}},
      {"norms of another width than the heads",
       "olmoe",
       {{"head_dim", 20}},
       {": head_dim: ", "hidden_size (64)", "4) heads of 16, got 20"}},
      {"more experts chosen than OLMoE has",
       "olmoe",
       {{"num_experts_per_tok", 17}},
       {": num_experts_per_tok: ", "chooses 17 of 16"}},
      {"an odd rotary_dim", "minimax_m2", {{"rotary_dim", 7}}, {": rotary_dim: ", "even", "got 7"}},
      {"rotary_dim beyond the head", "minimax_m2", {{"rotary_dim", 22}}, {": rotary_dim: ", "22"}},
      {"two rotated parts",
       "minimax_m2",
       {{"partial_rotary_factor", 0.5}},
       {": rotary_dim: ", "8 contradicts partial_rotary_factor (10 of head_dim 20)"}},
      {"MiniMax without norms", "minimax_m2", {{"use_qk_norm", false}}, {": use_qk_norm: ", "expected true"}},
      {"MiniMax with norms of each head",
       "minimax_m2",
       {{"qk_norm_type", "per_head"}},
       {": qk_norm_type: ", "per_head", "per_layer"}},
      {"MiniMax without a bias",
       "minimax_m2",
       {{"use_routing_bias", false}},
       {": use_routing_bias: ", "expected true"}},
      {"another scoring function of MiniMax",
       "minimax_m2",
       {{"scoring_func", "softmax"}},
       {": scoring_func: ", "sigmoid"}},
      {"a norm before the residual", "minimax_text_01", {{"postnorm", false}}, {": postnorm: ", "expected true"}},
      {"two lists of layers",
       "minimax",
       {{"attn_type_list", {0, 1, 0, 1}}},
       {": layer_types[1]: ", "\"linear_attention\" contradicts attn_type_list (1)"}},
      {"a list of layers that transformers does not read",
       "minimax",
       {{"layer_types", null}, {"attn_type_list", {0, 1, 0, 1}}},
       {": attn_type_list: ", "reads layer_types"}},
      {"a short list of layers",
       "minimax_text_01",
       {{"attn_type_list", {0, 1}}},
       {": attn_type_list: ", "num_hidden_layers (4)", "a list of 2"}},
      {"no list of layers", "minimax_text_01", {{"attn_type_list", null}}, {": attn_type_list: ", "missing"}},
      {"a third kind of layer", "minimax_text_01", {{"attn_type_list", {0, 2, 0, 1}}}, {": attn_type_list[1]: ", "2"}},
      {"a kind of layer that is none of MiniMax's",
       "minimax",
       {{"layer_types", {"linear_attention", "linear_attention", "linear_attention", "sliding_attention"}}},
       {": layer_types[3]: ", "sliding_attention"}},
      {"two factors of one part",
       "minimax",
       {{"layernorm_mlp_alpha", 3.5}},
       {": layernorm_mlp_alpha: ", "3.5 contradicts mlp_alpha_factor (1.5)"}},
      {"a factor under the name of another code",
       "minimax_text_01",
       {{"linear_attn_beta_factor", 0.5}},
       {": linear_attn_beta_factor: ", "0.5 contradicts layernorm_linear_attention_beta (1)"}},
      {"a factor of nothing", "minimax", {{"mlp_alpha_factor", 0}}, {": mlp_alpha_factor: ", "0"}},
      {"a shared expert of MiniMax-Text-01",
       "minimax_text_01",
       {{"shared_intermediate_size", 96}},
       {": shared_intermediate_size: ", "96"}},
      {"a part of heads that transformers' MiniMax turns not",
       "minimax",
       {{"partial_rotary_factor", 0.5}},
       {": partial_rotary_factor: ", "0.5"}},
      {"lightning attention", "minimax_m2", {{"attn_type_list", {1, 0, 1, 1}}}, {": attn_type_list[1]: ", "got 0"}},
      {"a shared expert of MiniMax",
       "minimax_m2",
       {{"shared_intermediate_size", 96}},
       {": shared_intermediate_size: ", "96"}},
      {"kinds of attention of other layers",
       "minimax_m2",
       {{"attn_type_list", {1, 1, 1}}},
       {": attn_type_list: ", "num_hidden_layers (4)", "a list of 3"}},
      {"a second width of MiniMax",
       "minimax_m2",
       {{"mlp_intermediate_size", 192}},
       {": mlp_intermediate_size: ", "192 contradicts intermediate_size (96)"}},
      {"a second width of gpt-oss",
       "gpt_oss",
       {{"mlp_intermediate_size", 192}},
       {": mlp_intermediate_size: ", "192 contradicts intermediate_size (96)"}},
      {"a context that is no number", "gpt_oss", {{"initial_context_length", "4096"}}, {": initial_context_length: "}},
      {"original positions that are no number",
       "gpt_oss",
       {{"original_max_position_embeddings", "4096"}},
       {": original_max_position_embeddings: "}},
      {"a window of GLM", "glm4_moe", {{"sliding_window", 32}}, {": sliding_window: ", "glm4_moe does not read it"}},
      {"a window that is switched on",
       "olmoe",
       {{"sliding_window", 32}, {"use_sliding_window", true}},
       {": sliding_window: ", "olmoe does not read it"}},
      {"Ministral without head_dim", "ministral", {{"head_dim", nullptr}}, {": head_dim: ", "missing"}},
      {"Ministral's layer without a window", "ministral", {{"sliding_window", 0}}, {": sliding_window: ", "0"}},
      {"Ministral 3 without its temperature",
       "ministral3",
       {{"rope_parameters", {{"llama_4_scaling_beta", nullptr}}}},
       {": rope_parameters.llama_4_scaling_beta: ", "missing"}},
      {"Ministral 3 without rope", "ministral3", {{"rope_parameters", nullptr}}, {": rope_parameters: ", "missing"}},
      {"chunks of nothing", "llama4", {{"attention_chunk_size", 0}}, {": attention_chunk_size: ", "0"}},
      {"rotation of too few layers",
       "llama4",
       {{"no_rope_layers", {1, 0}}},
       {": no_rope_layers: ", "num_hidden_layers (4)", "a list of 2"}},
      {"half a rotation", "llama4", {{"no_rope_layers", {1, 0, 2, 0}}}, {": no_rope_layers[2]: ", "2"}},
      {"experts in a layer that is none", "llama4", {{"moe_layers", {1, 4}}}, {": moe_layers[1]: ", "4"}},
      {"experts in every 0th layer",
       "llama4",
       {{"interleave_moe_layer_step", 0}},
       {": interleave_moe_layer_step: ", "0"}},
      {"more experts chosen than Llama 4 has",
       "llama4",
       {{"num_experts_per_tok", 9}},
       {": num_experts_per_tok: ", "chooses 9 of 8"}},
      {"dense layers of no width", "llama4", {{"intermediate_size_mlp", nullptr}}, {": intermediate_size_mlp: "}},
      {"an embedding of each layer", "gemma4", {{"hidden_size_per_layer_input", 256}}, {"hidden_size_per_layer_input"}},
      {"an embedding of each layer by default",
       "gemma4",
       {{"hidden_size_per_layer_input", nullptr}},
       {": hidden_size_per_layer_input: ", "256 where the key is absent"}},
      {"shared keys and values", "gemma4", {{"num_kv_shared_layers", 2}}, {": num_kv_shared_layers: ", "got 2"}},
      {"attention to both sides",
       "gemma4",
       {{"use_bidirectional_attention", "all"}},
       {": use_bidirectional_attention: "}},
      {"another activation of Gemma", "gemma4", {{"hidden_activation", "silu"}}, {": hidden_activation: ", "silu"}},
      {"a window at the end",
       "gemma4",
       {{"layer_types", {"sliding_attention", "full_attention", "sliding_attention", "sliding_attention"}}},
       {": layer_types[3]: ", "full_attention"}},
      {"key heads that heads are no multiple of",
       "gemma4",
       {{"num_global_key_value_heads", 3}},
       {": num_global_key_value_heads: ", "(4)", "(3)"}},
      {"rope of one kind of layer",
       "gemma4",
       {{"rope_parameters", {{"sliding_attention", {{"rope_theta", 1e4}}}}}},
       {": rope_parameters.full_attention: ", "missing"}},
      {"sizes of a layer with a window",
       "gemma4",
       {{"per_layer_config", {{"0", {{"head_dim", 32}}}}}},
       {": per_layer_config.0: "}},
      {"more experts chosen than Gemma has", "gemma4", {{"top_k_experts", 9}}, {": top_k_experts: ", "chooses 9 of 8"}},
      {"a window of nothing", "gpt_oss", {{"sliding_window", 0}}, {": sliding_window: ", "0"}},
      {"layer_types of other layers",
       "gpt_oss",
       {{"layer_types", {"sliding_attention"}}},
       {": layer_types: ", "num_hidden_layers (4)", "a list of 1"}},
      {"a kind of layer that gpt-oss has not",
       "gpt_oss",
       {{"layer_types", {"sliding_attention", "full_attention", "linear_attention", "full_attention"}}},
       {": layer_types[2]: ", "linear_attention"}},
      {"two numbers of experts chosen by gpt-oss",
       "gpt_oss",
       {{"experts_per_token", 4}},
       {": num_experts_per_tok: ", "3 contradicts experts_per_token (4)"}},
      {"more experts chosen than gpt-oss has",
       "gpt_oss",
       {{"num_experts_per_tok", 17}},
       {": num_experts_per_tok: ", "chooses 17 of 16 experts"}},
      {"a limit that is none", "gpt_oss", {{"swiglu_limit", 0}}, {": swiglu_limit: ", "0"}},
      {"another gain of the activation", "gpt_oss", {{"swiglu_alpha", 1.5}}, {": swiglu_alpha: ", "1.702", "1.5"}},
      {"Hunyuan without norms", "hunyuan_v1_moe", {{"use_qk_norm", false}}, {": use_qk_norm: ", "expected true"}},
      {"keys of another layer", "hunyuan_v1_moe", {{"use_cla", true}}, {": use_cla: ", "expected false"}},
      {"no shared expert of Hunyuan", "hunyuan_v1_moe", {{"num_shared_expert", 0}}, {": num_shared_expert: ", "got 0"}},
      {"layers that choose differently",
       "hunyuan_v1_moe",
       {{"moe_topk", {3, 3, 2, 3}}},
       {": moe_topk[2]: ", "expected 3", "got 2"}},
      {"a list for other layers",
       "hunyuan_v1_moe",
       {{"moe_topk", {3, 3}}},
       {": moe_topk: ", "num_hidden_layers (4)", "a list of 2"}},
      {"more experts chosen than Hunyuan has",
       "hunyuan_v1_moe",
       {{"moe_topk", 17}},
       {": moe_topk: ", "chooses 17 of 16 experts"}},
      {"experts of another width",
       "hunyuan_v1_moe",
       {{"moe_intermediate_size", 48}},
       {": moe_intermediate_size: ", "48 contradicts intermediate_size (96)"}},
      {"value heads that key heads do not divide",
       "qwen3_next",
       {{"linear_num_value_heads", 5}},
       {": linear_num_value_heads: ", "a multiple of linear_num_key_heads (2), got 5"}},
      {"no size of a key head", "qwen3_5", {{"linear_key_head_dim", null}}, {": linear_key_head_dim: ", "missing"}},
      {"a kernel of one token", "qwen3_5", {{"linear_conv_kernel_dim", 1}}, {": linear_conv_kernel_dim: ", "2..64"}},
      {"kinds of layer that contradict the interval",
       "qwen3_5_moe",
       {{"full_attention_interval", 2},
        {"layer_types", {"linear_attention", "full_attention", "full_attention", "linear_attention"}}},
       {": layer_types[2]: ", "contradicts full_attention_interval (2)"}},
      {"a kind of layer that is none of Qwen3-Next's",
       "qwen3_next",
       {{"layer_types", {"linear_attention", "sliding_attention", "linear_attention", "full_attention"}}},
       {": layer_types[1]: ", "linear_attention, full_attention"}},
      {"an odd part of a gated head",
       "qwen3_5",
       {{"partial_rotary_factor", 0.2}},
       {": partial_rotary_factor: ", "of head_dim 16 is 3", "even"}},
      {"attention without its gate",
       "qwen3_5",
       {{"attn_output_gate", false}},
       {": attn_output_gate: ", "expected true"}},
      {"no shared expert beside a gate",
       "qwen3_5_moe",
       {{"shared_expert_intermediate_size", 0}},
       {": shared_expert_intermediate_size: "}},
      {"weights that are not renormalised",
       "qwen3_5_moe",
       {{"norm_topk_prob", false}},
       {": norm_topk_prob: ", "expected true"}},
      {"a dense layer among experts", "qwen3_5_moe", {{"mlp_only_layers", {1}}}, {": mlp_only_layers: ", "empty list"}},
      {"more experts chosen than Qwen3-Next has",
       "qwen3_next",
       {{"num_experts_per_tok", 9}},
       {": num_experts_per_tok: ", "chooses 9 of 8"}},
      {"a language part of no model",
       "qwen3_5",
       {{"text_config", {{"hidden_size", 64}}}},
       {": text_config.model_type: ", "missing"}},
      {"more parameters than a machine could count",
       "qwen3_moe",
       {{"hidden_size", 1 << 20},
        {"head_dim", 128},
        {"num_hidden_layers", 4096},
        {"num_experts", 1 << 14},
        {"moe_intermediate_size", 1 << 22},
        {"vocab_size", 1 << 24}},
       {"more than 1e+15 parameters"}},
      {"more parameters than sense",
       "llama",
       {{"hidden_size", 1 << 20}, {"head_dim", 128}, {"num_hidden_layers", 4096}, {"intermediate_size", 1 << 22}},
       {"more than 1e+15 parameters"}},
  };
}

TEST(BadConfigs, AreRefusedAtTheirPlace) {
  TempDir dir;
  const std::vector<BadConfig> table = bad_configs();
  EXPECT_GT(table.size(), 60u);
  for (const BadConfig& bad : table) {
    SCOPED_TRACE(bad.what);
    const auto file = dir.write("config.json", with(tiny(bad.model_type), bad.change).dump());
    const std::string message = bad_input([&] { read_model(file); });
    EXPECT_EQ(message.rfind(file.string() + ": ", 0), 0u) << message;
    EXPECT_FALSE(contains(message, "\n"));
    EXPECT_FALSE(contains(message, "\x1b"));
    for (const char* part : bad.said) EXPECT_TRUE(contains(message, part)) << message << "\nlacks: " << part;
  }
}

TEST(BadConfigs, ThatAreNoJsonAreRefused) {
  TempDir dir;
  const std::string good = tiny("llama").dump();
  std::string deep = good;
  deep.insert(1, "\"x\":" + std::string(70, '[') + std::string(70, ']') + ",");
  const std::pair<std::string, const char*> table[] = {
      {"", "empty"},
      {"\n\n", "empty"},
      {"[]", "expected an object, got an empty list"},
      {"7", "expected an object, got 7"},
      {"null", "expected an object, got null"},
      {good.substr(0, good.size() / 2), "not valid JSON"},
      {good.substr(0, good.size() - 1), "not valid JSON"},
      {good + good, "not valid JSON"},
      {testing::replaced(good, "\"hidden_size\":64", "\"hidden_size\":64,\"hidden_size\":64"),
       "hidden_size: the key \"hidden_size\" appears twice"},
      {testing::replaced(good, "\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":NaN"), "NaN is no JSON"},
      {testing::replaced(good, "\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":-Infinity"), "Infinity is no JSON"},
      {"GGUF" + std::string("\3\0\0\0\1", 5), "is a GGUF file"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a git-lfs pointer"},
      {std::string("\x10\0\0\0\0\0\0\0{\"a\":1}", 15), "is a safetensors file"},
      {"<!DOCTYPE html><html></html>", "is a web page"},
      {testing::replaced(good, "\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":Infinity"), "Infinity is no JSON"},
      {testing::replaced(good, "\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":1e999"), "1e999"},
      {testing::replaced(good, "\"silu\"", "\"si\xff\""), "UTF-8"},
      {testing::replaced(good, "\"silu\"", "\"si\\ud800\""), "not valid JSON"},
      {"\xEF\xBB\xBF" + good, "BOM"},
      {std::string("\xFF\xFE{\0}\0", 6), "UTF-16"},
      {deep, "nested deeper than 64"},
      {good + std::string(8 << 20, ' '), "larger than 8388608 bytes"},
      {"GGUF" + std::string(8 << 20, '\0'), "is a GGUF file"},
      {std::string(1, '\0') + good, "not valid JSON"},
  };
  for (const auto& [text, said] : table) {
    const auto file = dir.write("config.json", text);
    const std::string message = bad_input([&] { read_model(file); });
    EXPECT_TRUE(contains(message, said)) << message << "\nlacks: " << said;
    EXPECT_EQ(message.rfind(file.string() + ": ", 0), 0u) << message;
  }
  EXPECT_TRUE(contains(bad_input([&] { read_model(dir.path() / "none.json"); }), "no such file"));
  std::filesystem::create_directory(dir.path() / "folder");
  EXPECT_TRUE(contains(bad_input([&] { read_model(dir.path() / "folder"); }), "folder/config.json: no such file"));
  std::filesystem::create_directories(dir.path() / "odd" / "config.json");
  EXPECT_TRUE(contains(bad_input([&] { read_model(dir.path() / "odd"); }), "is a folder"));
}

}  // namespace
}  // namespace layercost

// Configs as published checkpoints have them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/spec/quantization.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using Json = nlohmann::json;
using testing::bad_input;
using testing::contains;

Quantization read(const Json& config) { return Quantization(parse_json("config.json", config.dump())); }
std::string refused(const Json& config) {
  return bad_input([&] { read(config); });
}
// "int4_g128 awq", or "-".
std::string of(const Quantization& q, const char* module) {
  const auto scheme = q.scheme_of(module);
  return scheme ? std::string(scheme->format->name) + " | " + std::string(to_string(scheme->packing)) : "-";
}
Json with(Json config, const Json& change) {
  config.merge_patch(change);
  return config;
}

const Json kFp8 = {
    {"activation_scheme", "dynamic"}, {"fmt", "e4m3"}, {"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
const Json kGroup = {{"targets", {"Linear"}},
                     {"weights",
                      {{"num_bits", 4},
                       {"type", "int"},
                       {"symmetric", true},
                       {"strategy", "group"},
                       {"group_size", 128},
                       {"dynamic", false},
                       {"actorder", nullptr}}},
                     {"input_activations", nullptr},
                     {"output_activations", nullptr}};
const Json kPacked = {{"quant_method", "compressed-tensors"},
                      {"format", "pack-quantized"},
                      {"config_groups", {{"group_0", kGroup}}},
                      {"ignore", {"lm_head", "re:.*mlp.gate$"}},
                      {"kv_cache_scheme", nullptr},
                      {"quantization_status", "compressed"},
                      {"global_compression_ratio", nullptr},
                      {"sparsity_config", Json::object()},
                      {"transform_config", Json::object()},
                      {"version", "0.13.0"}};
const Json kAwq = {
    {"bits", 4}, {"group_size", 128}, {"quant_method", "awq"}, {"version", "gemm"}, {"zero_point", true}};
const Json kGptq = {{"bits", 4},
                    {"group_size", 128},
                    {"damp_percent", 0.01},
                    {"desc_act", false},
                    {"sym", true},
                    {"true_sequential", true},
                    {"quant_method", "gptq"},
                    {"static_groups", false},
                    {"model_name_or_path", nullptr},
                    {"model_file_base_name", "model"}};
const Json kModelopt = {{"quant_algo", "NVFP4"},
                        {"kv_cache_quant_algo", "FP8"},
                        {"group_size", 16},
                        {"exclude_modules", {"lm_head", "model.layers.0.*", "*.mlp.gate"}}};

Json weights(const Json& change) {
  Json config = kPacked;
  config["config_groups"]["group_0"]["weights"].merge_patch(change);
  return config;
}

constexpr const char* kQ = "model.layers.3.self_attn.q_proj";
constexpr const char* kExpert = "model.layers.3.mlp.experts.7.up_proj";

TEST(Quantization, ReadsWhatPublishedConfigsSay) {
  const Quantization fp8 = read(with(kFp8, {{"modules_to_not_convert", {"model.layers.0.mlp", "self_attn.q_proj"}}}));
  EXPECT_EQ(of(fp8, kExpert), "fp8_block128 | fp8, weight_scale_inv");
  EXPECT_EQ(of(fp8, kQ), "-");
  EXPECT_EQ(of(fp8, "model.layers.0.mlp.up_proj"), "-");
  EXPECT_EQ(of(fp8, "lm_head"), "-");  // transformers never converts it
  EXPECT_FALSE(fp8.names_experts());
  EXPECT_EQ(of(read(with(kFp8, {{"scale_fmt", "ue8m0"}})), kQ), "fp8_block128 | fp8, weight_scale_inv");
  EXPECT_EQ(of(read({{"quant_method", "fbgemm_fp8"}, {"modules_to_not_convert", {"o_proj"}}}), kQ),
            "fp8_channel | fp8, weight_scale");

  const Quantization packed = read(kPacked);
  EXPECT_EQ(of(packed, kQ), "int4_g128 | pack-quantized");
  EXPECT_EQ(of(packed, "model.layers.3.mlp.gate"), "-");
  EXPECT_EQ(of(packed, "model.layers.3.mlp.gate_proj"), "int4_g128 | pack-quantized");
  EXPECT_EQ(of(packed, "lm_head"), "-");
  EXPECT_EQ(of(read(with(kPacked, {{"ignore", Json::array()}})), "lm_head"), "int4_g128 | pack-quantized");
  EXPECT_EQ(of(read(weights({{"symmetric", false}, {"group_size", 32}})), kQ), "int4_g32_zp | pack-quantized");

  Json channel = weights({{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}, {"group_size", nullptr}});
  channel["format"] = "float-quantized";
  EXPECT_EQ(of(read(channel), kQ), "fp8_channel | fp8, weight_scale");
  Json nvfp4 = weights({{"type", "float"}, {"strategy", "tensor_group"}, {"group_size", 16}});
  nvfp4["format"] = "nvfp4-pack-quantized";
  EXPECT_EQ(of(read(nvfp4), kQ), "nvfp4 | nvfp4-pack-quantized");
  Json mxfp4 = weights({{"type", "float"}, {"group_size", 32}});
  mxfp4["format"] = "mxfp4-pack-quantized";
  EXPECT_EQ(of(read(mxfp4), kQ), "mxfp4 | mxfp4-pack-quantized");

  // Two groups, each with targets of its own and its format.
  Json mixed = kPacked;
  mixed["format"] = "mixed-precision";
  mixed["config_groups"]["group_0"]["format"] = "pack-quantized";
  mixed["config_groups"]["group_0"]["targets"] = {"re:.*experts.*"};
  mixed["config_groups"]["group_1"] = channel["config_groups"]["group_0"];
  mixed["config_groups"]["group_1"]["format"] = "float-quantized";
  mixed["config_groups"]["group_1"]["targets"] = {"re:.*self_attn.*", "model.layers.0.mlp.up_proj"};
  EXPECT_EQ(of(read(mixed), kExpert), "int4_g128 | pack-quantized");
  EXPECT_EQ(of(read(mixed), kQ), "fp8_channel | fp8, weight_scale");
  EXPECT_EQ(of(read(mixed), "model.layers.0.mlp.up_proj"), "fp8_channel | fp8, weight_scale");
  EXPECT_EQ(of(read(mixed), "model.layers.1.mlp.up_proj"), "-");

  const Quantization oss = read({{"quant_method", "mxfp4"}, {"modules_to_not_convert", {"model.layers.*.self_attn"}}});
  EXPECT_EQ(of(oss, kExpert), "mxfp4 | mxfp4, blocks and scales");
  EXPECT_EQ(of(oss, kQ), "-");
  EXPECT_EQ(of(oss, "model.layers.3.mlp.up_proj"), "-");  // fused experts alone

  EXPECT_EQ(of(read(kAwq), kQ), "int4_g128_zp | awq");
  EXPECT_EQ(of(read({{"w_bit", 4}, {"q_group_size", 32}, {"quant_method", "awq"}}), kQ), "int4_g32_zp | awq");
  EXPECT_EQ(of(read(with(kAwq, {{"modules_to_not_convert", {"self_attn"}}})), kExpert), "int4_g128_zp | awq");
  EXPECT_EQ(of(read(kGptq), kQ), "int4_g128 | gptq");
  EXPECT_EQ(of(read(with(kGptq, {{"sym", false}, {"checkpoint_format", "gptq_v2"}})), kQ), "int4_g128_zp | gptq_v2");
  const Quantization some =
      read(with(kGptq, {{"modules_in_block_to_quantize", {{"self_attn.q_proj"}, {"mlp.up_proj"}}}}));
  EXPECT_EQ(of(some, kQ), "int4_g128 | gptq");
  EXPECT_EQ(of(some, "model.layers.3.self_attn.k_proj"), "-");

  const Quantization modelopt = read(kModelopt);
  EXPECT_EQ(modelopt.method(), "modelopt");
  EXPECT_EQ(of(modelopt, kQ), "nvfp4 | nvfp4, weight_scale_2");
  EXPECT_EQ(of(modelopt, "model.layers.0.self_attn.q_proj"), "-");
  EXPECT_EQ(of(modelopt, "model.layers.3.mlp.gate"), "-");
  EXPECT_EQ(of(modelopt, "lm_head"), "-");
  EXPECT_EQ(modelopt.notes().size(), 1u);
}

TEST(Quantization, NothingUnknownPasses) {
  struct Case {
    const char* what;
    Json config;
    std::vector<const char*> said;
  };
  Json group_key = kPacked, format = kPacked, two = kPacked, preset = kPacked;
  group_key["config_groups"]["group_0"]["wieghts"] = Json::object();
  format["format"] = "nvfp4-pack-quantized";
  preset["config_groups"] = {{"W4A16", {"Linear"}}};
  const Case cases[] = {
      {"method",
       {{"quant_method", "awqq"}},
       {"config.json: quant_method: ", "\"awqq\"", "'awq'", "compressed-tensors"}},
      {"method of another library", {{"quant_method", "bitsandbytes"}}, {"\"bitsandbytes\""}},
      {"MLX", {{"bits", 4}, {"group_size", 64}}, {"4 bits", "MLX"}},
      {"nothing", Json::object(), {"quant_method: missing"}},
      {"a key", with(kFp8, {{"weight_block_sizes", {128, 128}}}), {"weight_block_sizes", "'weight_block_size'"}},
      {"blocks", with(kFp8, {{"weight_block_size", {64, 64}}}), {"weight_block_size: ", "[128, 128]"}},
      {"fp8 of another kind", with(kFp8, {{"fmt", "e5m2"}}), {"fmt: ", "e4m3", "\"e5m2\""}},
      {"fp4 experts", with(kFp8, {{"expert_dtype", "fp4"}}), {"expert_dtype: ", "fp8"}},
      {"a list no list", with(kFp8, {{"modules_to_not_convert", 3}}), {"modules_to_not_convert: ", "list"}},
      {"a pattern", with(kPacked, {{"ignore", {"re:(?!x)"}}}), {"ignore[0]: ", "look-around"}},
      {"a group's key", group_key, {"wieghts", "'weights'"}},
      {"format of others", format, {"format: ", "\"nvfp4-pack-quantized\"", "pack-quantized"}},
      {"a preset", preset, {"W4A16", "presets"}},
      {"group of 64", weights({{"group_size", 64}}), {"group_size: ", "32 or 128", "got 64"}},
      {"3 bits", weights({{"num_bits", 3}}), {"int of 3 bits"}},
      {"order of columns", weights({{"actorder", "group"}}), {"actorder: ", "\"group\""}},
      {"dynamic weights", weights({{"dynamic", true}}), {"dynamic: expected false"}},
      {"rotation", with(kPacked, {{"transform_config", {{"config_groups", {{"u", 1}}}}}}), {"transform_config: "}},
      {"sparse", with(kPacked, {{"sparsity_config", {{"format", "sparse-bitmask"}}}}), {"sparsity_config.format: "}},
      {"status", with(kPacked, {{"quantization_status", "calibration"}}), {"quantization_status: "}},
      {"no groups", with(kPacked, {{"config_groups", nullptr}}), {"config_groups"}},
      {"awq of 8 bits", with(kAwq, {{"bits", 8}}), {"bits: expected 4, got 8"}},
      {"awq by gemv", with(kAwq, {{"version", "gemv"}}), {"version: expected \"gemm\", got \"gemv\""}},
      {"awq without zeros", with(kAwq, {{"zero_point", false}}), {"zero_point: expected true"}},
      {"awq in groups of 64", with(kAwq, {{"group_size", 64}}), {"group_size: expected 32 or 128, got 64"}},
      {"awq by row", with(kAwq, {{"group_size", -1}}), {"group_size: ", "got -1"}},
      {"gptq in another order", with(kGptq, {{"desc_act", true}}), {"desc_act: expected false", "order"}},
      {"gptq of 8 bits", with(kGptq, {{"bits", 8}}), {"bits: expected 4, got 8"}},
      {"gptq for Marlin", with(kGptq, {{"checkpoint_format", "marlin"}}), {"checkpoint_format: ", "\"marlin\""}},
      {"gptq with exceptions", with(kGptq, {{"dynamic", {{"-:x", Json::object()}}}}), {"dynamic: "}},
      {"gptq with a head", with(kGptq, {{"lm_head", true}}), {"lm_head: expected false"}},
      {"modelopt mixed", with(kModelopt, {{"quant_algo", "MIXED_PRECISION"}}), {"quant_algo: ", "MIXED_PRECISION"}},
      {"modelopt near", with(kModelopt, {{"quant_algo", "NVFP"}}), {"'NVFP4'"}},
      {"modelopt in groups of 32", with(kModelopt, {{"group_size", 32}}), {"group_size: expected 16, got 32"}},
  };
  for (const Case& c : cases) {
    const std::string said = refused(c.config);
    EXPECT_NE(said, "") << c.what;
    for (const char* part : c.said) EXPECT_TRUE(contains(said, part)) << c.what << ": " << said;
  }
}

}  // namespace
}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/quantization.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/core/error.h"

namespace layercost {
namespace {

using Dialect = NamePattern::Dialect;
using Names = std::vector<std::string>;

constexpr std::size_t kMaxPatterns = 1 << 16;

// The value of a key, one of a few, letters of either case; nothing where it is absent or null.
std::optional<std::string> find_word(const JsonNode& config, std::string_view key, const Names& known) {
  const auto given = config.find(key);
  if (!given) return std::nullopt;
  std::string word = ascii_lower(given->as_string(64));
  if (std::find(known.begin(), known.end(), word) == known.end())
    given->fail(fmt::format("expected {}, got \"{}\"{}", fmt::join(known, " or "), word, did_you_mean(word, known)));
  return word;
}

// Of a number or flag that moves meaning: this value alone is understood.
void expect_int(const JsonNode& config, std::string_view key, std::int64_t only) {
  if (const auto given = config.find(key); given && given->as_int(INT32_MIN, INT32_MAX) != only)
    given->fail(fmt::format("expected {}, got {}", only, given->described()));
}
void expect_flag(const JsonNode& config, std::string_view key, bool only, const char* why) {
  if (const auto given = config.find(key); given && given->as_bool() != only)
    given->fail(fmt::format("expected {}: {}", only, why));
}
// null, false, [] and {} say nothing.
void expect_nothing(const JsonNode& config, std::string_view key, const char* why) {
  const auto given = config.find(key);
  if (!given || (given->is_bool() && !given->as_bool())) return;
  if ((given->is_list() && given->as_list().empty()) || (given->is_object() && given->keys().empty())) return;
  given->fail(fmt::format("expected nothing here, got {}: {}", given->described(), why));
}

// int4 by the size of its groups.
const WeightFormat& int4(const JsonNode& config, std::string_view key, bool zeros) {
  const std::int64_t group = config.get_int(key, -1, INT32_MAX);
  if (group != 32 && group != 128)
    config.fail(key,
                fmt::format("expected 32 or 128, got {}: layercost list formats has int4 in groups of these", group));
  return weight_format(fmt::format("int4_g{}{}", group, zeros ? "_zp" : ""));
}

const Names kMethods{"fp8", "fbgemm_fp8", "compressed-tensors", "mxfp4", "awq", "gptq", "modelopt"};

}  // namespace

std::string_view to_string(Packing p) {
  switch (p) {
    case Packing::fp8_inverse:
      return "fp8, weight_scale_inv";
    case Packing::fp8:
      return "fp8, weight_scale";
    case Packing::int_packed:
      return "pack-quantized";
    case Packing::mxfp4_packed:
      return "mxfp4-pack-quantized";
    case Packing::nvfp4_packed:
      return "nvfp4-pack-quantized";
    case Packing::nvfp4_modelopt:
      return "nvfp4, weight_scale_2";
    case Packing::mxfp4_blocks:
      return "mxfp4, blocks and scales";
    case Packing::awq:
      return "awq";
    case Packing::gptq:
      return "gptq";
    case Packing::gptq_v2:
      return "gptq_v2";
  }
  return "?";
}

Quantization::Quantization(const JsonNode& config, std::string_view method) : place_(config.file()) {
  if (!config.place().empty()) place_ += ": " + config.place();
  const auto said = config.find_string("quant_method", 64);
  method_ = said ? *said : std::string(method);
  if (method_.empty() && config.has("quant_algo")) method_ = "modelopt";
  if (method_.empty()) {
    if (const auto bits = config.find("bits"); bits && config.has("group_size"))
      config.fail(
          fmt::format("quantised weights of {} bits without a quant_method, as MLX writes them, are not supported; "
                      "expected a quant_method: {}",
                      bits->described(), fmt::join(kMethods, ", ")));
    config.fail("quant_method", fmt::format("missing; expected one of {}", fmt::join(kMethods, ", ")));
  }
  if (method_ == "fp8") read_fp8(config);
  else if (method_ == "fbgemm_fp8") read_fbgemm(config);
  else if (method_ == "compressed-tensors") read_compressed_tensors(config);
  else if (method_ == "mxfp4") read_mxfp4(config);
  else if (method_ == "awq") read_awq(config);
  else if (method_ == "gptq") read_gptq(config);
  else if (method_ == "modelopt") read_modelopt(config);
  else
    config.fail("quant_method", fmt::format("quantised weights (\"{}\") are not supported{}; known are: {}", method_,
                                            did_you_mean(method_, kMethods), fmt::join(kMethods, ", ")));
}

NamePattern Quantization::pattern(const JsonNode& entry, Dialect dialect, std::string text) {
  // A whole name of a layer's part cannot tell its experts apart; everything else with a number in it could.
  const bool number = std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool plain = text.find_first_of("\\[](){}|*+?^$") == std::string::npos;
  const auto has = [&](const char* part) { return text.find(part) != std::string::npos; };
  names_experts_ |= number && !(plain && has("layers.") && !has("experts"));
  try {
    return NamePattern(dialect, std::move(text));
  } catch (const BadInput& e) {
    entry.fail(e.what());
  }
}

void Quantization::ignore(const JsonNode& config, std::string_view key, Dialect dialect) {
  const auto list = config.find(key);
  if (!list) return;
  for (const JsonNode& entry : list->as_list(0, kMaxPatterns)) {
    std::string text = entry.as_string(1024);
    if (dialect == Dialect::name && text.starts_with("re:"))
      ignored_.push_back(pattern(entry, Dialect::regex, text.substr(3)));
    else ignored_.push_back(pattern(entry, dialect, std::move(text)));
  }
}

std::size_t Quantization::patterns() const {
  std::size_t n = ignored_.size();
  for (const Group& g : groups_) n += g.targets.size();
  return n;
}

std::optional<QuantizationScheme> Quantization::scheme_of(std::string_view module) const {
  const auto hits = [&](const std::vector<NamePattern>& list) {
    return std::any_of(list.begin(), list.end(), [&](const NamePattern& p) { return p.matches(module); });
  };
  const bool head = module == "lm_head" || module.ends_with(".lm_head");
  const bool expert = module.find(".experts") != std::string_view::npos;
  for (const Group& g : groups_) {
    if (head && !g.head) continue;
    if (g.reach == Reach::experts && !expert) continue;
    if (!g.any && !hits(g.targets)) continue;
    if (hits(ignored_)) return std::nullopt;
    return g.scheme;
  }
  return std::nullopt;
}

void Quantization::read_fp8(const JsonNode& c) {
  const Names known{"quant_method",   "activation_scheme",  "fmt",       "weight_block_size", "modules_to_not_convert",
                    "ignored_layers", "modules_to_convert", "scale_fmt", "expert_dtype",      "dequantize",
                    "kv_cache_scheme"};
  c.refuse_other_keys(known);
  find_word(c, "activation_scheme", {"dynamic", "static"});
  find_word(c, "fmt", {"e4m3", "float8_e4m3fn"});
  find_word(c, "scale_fmt", {"float", "ue8m0"});  // which numbers, and not which type: DeepSeek-V3.1 stores them as f32
  find_word(c, "expert_dtype", {"fp8"});
  expect_nothing(c, "modules_to_convert", "matrices beside the linear ones are not known");
  QuantizationScheme s{&weight_format("fp8_channel"), Packing::fp8_inverse};
  if (const auto block = c.find("weight_block_size")) {
    if (block->as_int_list(1, INT32_MAX) != std::vector<std::int64_t>{128, 128})
      block->fail("expected [128, 128], the blocks of fp8_block128");
    s.format = &weight_format("fp8_block128");
  } else if (!c.has("weight_block_size")) {
    s.format = &weight_format("fp8_block128");  // transformers' default; null is a scale per tensor
  }
  groups_.push_back({s});
  ignore(c, "modules_to_not_convert", Dialect::transformers);
  ignore(c, "ignored_layers", Dialect::transformers);
}

void Quantization::read_fbgemm(const JsonNode& c) {
  c.refuse_other_keys(Names{"quant_method", "activation_scale_ub", "modules_to_not_convert"});
  groups_.push_back({{&weight_format("fp8_channel"), Packing::fp8}});
  ignore(c, "modules_to_not_convert", Dialect::transformers);
}

void Quantization::read_compressed_tensors(const JsonNode& c) {
  c.refuse_other_keys(Names{"quant_method", "config_groups", "format", "ignore", "kv_cache_scheme",
                            "quantization_status", "global_compression_ratio", "sparsity_config", "transform_config",
                            "moe_sparsity_config", "version", "run_compressed"});
  const Names formats{"float-quantized",      "naive-quantized",      "pack-quantized",
                      "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mixed-precision"};
  const auto format = find_word(c, "format", formats);
  find_word(c, "quantization_status", {"compressed", "frozen"});
  if (const auto sparsity = c.find("sparsity_config"); sparsity && !sparsity->keys().empty())
    find_word(*sparsity, "format", {"dense"});
  expect_nothing(c, "transform_config", "weights behind a rotation are not known");
  expect_nothing(c, "moe_sparsity_config", "experts that were left out are not known");
  if (c.find("kv_cache_scheme")) notes_.push_back("kv_cache_scheme concerns the cache alone and is not followed");

  const JsonNode groups = c.at("config_groups");
  for (const std::string& name : groups.keys()) {
    const JsonNode g = groups.at(name);
    if (g.is_list()) g.fail("presets by name are not known; expected an object with targets and weights");
    g.refuse_other_keys(Names{"targets", "weights", "input_activations", "output_activations", "format"});
    const auto weights = g.find("weights");
    if (!weights) continue;  // activations or the cache alone
    const auto packed = g.find("format") ? find_word(g, "format", formats) : format;
    const JsonNode& w = *weights;
    w.refuse_other_keys(Names{"num_bits", "type", "symmetric", "strategy", "group_size", "block_structure", "dynamic",
                              "actorder", "scale_dtype", "zp_dtype", "observer", "observer_kwargs", "is_mse",
                              "mse_config"});
    expect_flag(w, "dynamic", false, "weights are not quantised on the way");
    if (const auto order = w.find("actorder"); order && !(order->is_bool() && !order->as_bool()))
      find_word(w, "actorder", {"weight", "static"});
    const std::int64_t bits = w.find_int("num_bits", 1, 32).value_or(8);
    const std::string type = find_word(w, "type", {"int", "float"}).value_or("int");
    const bool symmetric = w.find_bool("symmetric").value_or(true);
    const auto group = w.find_int("group_size", -1, INT32_MAX);
    const std::string strategy = find_word(w, "strategy", {"tensor", "channel", "group", "block", "tensor_group"})
                                     .value_or(!group       ? "tensor"
                                               : *group > 0 ? "group"
                                                            : "channel");
    // What it is, and the format in which such weights are stored.
    const auto take = [&](const WeightFormat& row, Packing packing, const Names& stored) {
      if (!packed)
        (g.has("format") ? g : c).fail("format", fmt::format("missing; expected {}", fmt::join(stored, " or ")));
      if (*packed != "mixed-precision" && std::find(stored.begin(), stored.end(), *packed) == stored.end())
        (g.find("format") ? g : c)
            .fail("format", fmt::format("\"{}\" does not go with the weights of {}; expected {}", *packed, name,
                                        fmt::join(stored, " or ")));
      Group& out = groups_.emplace_back();
      out.scheme = {&row, packing};
      out.head = true;
      out.any = false;
    };
    if (type == "float" && !symmetric) w.fail("symmetric", "expected true: floats with a zero point are not known");
    if (type == "float" && bits == 8 && (strategy == "channel" || strategy == "tensor")) {
      take(weight_format("fp8_channel"), Packing::fp8, {"float-quantized", "naive-quantized"});
    } else if (type == "float" && bits == 8 && strategy == "block") {
      if (w.at("block_structure").as_int_list(1, INT32_MAX) != std::vector<std::int64_t>{128, 128})
        w.fail("block_structure", "expected [128, 128], the blocks of fp8_block128");
      take(weight_format("fp8_block128"), Packing::fp8, {"float-quantized", "naive-quantized"});
    } else if (type == "float" && bits == 4 && strategy == "tensor_group") {
      if (group != 16) w.fail("group_size", "expected 16, the blocks of nvfp4");
      take(weight_format("nvfp4"), Packing::nvfp4_packed, {"nvfp4-pack-quantized"});
    } else if (type == "float" && bits == 4 && strategy == "group") {
      if (group != 32) w.fail("group_size", "expected 32, the blocks of mxfp4");
      take(weight_format("mxfp4"), Packing::mxfp4_packed, {"mxfp4-pack-quantized"});
    } else if (type == "int" && bits == 4 && strategy == "group") {
      take(int4(w, "group_size", !symmetric), Packing::int_packed, {"pack-quantized"});
    } else {
      w.fail(
          fmt::format("{} of {} bits by {} is no format here; known are float of 8 bits by channel, tensor or block, "
                      "float of 4 bits by tensor_group (16) or group (32), int of 4 bits by group (32, 128)",
                      type, bits, strategy));
    }
    Group& out = groups_.back();
    for (const JsonNode& target : g.at("targets").as_list(1, kMaxPatterns)) {
      std::string text = target.as_string(1024);
      // A class: torch's own, or the fused experts of a family.
      if (text == "Linear" || text.ends_with("Experts")) out.any = true;
      else if (text.starts_with("re:")) out.targets.push_back(pattern(target, Dialect::regex, text.substr(3)));
      else out.targets.push_back(pattern(target, Dialect::name, std::move(text)));
    }
  }
  if (groups_.empty()) groups.fail("no group has weights");
  ignore(c, "ignore", Dialect::name);
}

void Quantization::read_mxfp4(const JsonNode& c) {
  c.refuse_other_keys(Names{"quant_method", "modules_to_not_convert", "dequantize"});
  Group g{{&weight_format("mxfp4"), Packing::mxfp4_blocks}};
  g.reach = Reach::experts;
  groups_.push_back(std::move(g));
  ignore(c, "modules_to_not_convert", Dialect::transformers);
}

void Quantization::read_awq(const JsonNode& c) {
  c.refuse_other_keys(
      Names{"quant_method", "bits", "w_bit", "group_size", "q_group_size", "zero_point", "version", "format",
            "modules_to_not_convert", "backend", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "exllama_config",
            // of GPTQ's class, from which transformers derives AWQ's
            "desc_act", "sym", "act_group_aware", "true_sequential", "damp_percent", "dataset", "tokenizer", "meta",
            "model_seqlen", "block_name_to_quantize", "module_name_preceding_first_block", "batch_size", "pad_token_id",
            "max_input_length", "cache_block_outputs", "modules_in_block_to_quantize", "lm_head"});
  for (const char* key : {"bits", "w_bit"}) expect_int(c, key, 4);
  expect_flag(c, "zero_point", true, "AWQ without zero points is not known");
  expect_flag(c, "lm_head", false, "a quantised LM head is not known");
  const char* why = "the layout of GEMV and Marlin kernels is another one";
  for (const char* key : {"version", "format"})
    if (const auto given = c.find(key); given && ascii_lower(given->as_string(64)) != "gemm")
      given->fail(fmt::format("expected \"gemm\", got {}: {}", given->described(), why));
  const bool old = !c.has("group_size") && c.has("q_group_size");
  groups_.push_back({{&int4(c, old ? "q_group_size" : "group_size", true), Packing::awq}});
  ignore(c, "modules_to_not_convert", Dialect::transformers);
}

void Quantization::read_gptq(const JsonNode& c) {
  c.refuse_other_keys(Names{"quant_method", "bits", "group_size", "sym", "desc_act", "format", "checkpoint_format",
                            "pack_dtype", "lm_head", "dynamic", "modules_in_block_to_quantize",
                            // how the file came to be
                            "act_group_aware", "static_groups", "true_sequential", "damp_percent",
                            "damp_auto_increment", "mse", "model_name_or_path", "model_file_base_name", "meta",
                            "dataset", "tokenizer", "backend", "batch_size", "pad_token_id", "block_name_to_quantize",
                            "cache_block_outputs", "max_input_length", "model_seqlen",
                            "module_name_preceding_first_block", "use_cuda_fp16", "use_exllama", "exllama_config",
                            "disable_exllama", "version"});
  if (c.get_int("bits", 1, 16) != 4) c.fail("bits", fmt::format("expected 4, got {}", c.get_int("bits", 1, 16)));
  expect_flag(c, "desc_act", false,
              "columns in another order need the input in that order, which is another computation");
  expect_flag(c, "lm_head", false, "a quantised LM head is not known");
  expect_nothing(c, "dynamic", "options of single modules are not known");
  find_word(c, "pack_dtype", {"int32"});
  std::string format = find_word(c, "format", {"gptq", "gptq_v2"}).value_or("gptq");
  if (const auto older = find_word(c, "checkpoint_format", {"gptq", "gptq_v2"})) format = *older;
  const bool symmetric = c.find_bool("sym").value_or(true);
  Group g{{&int4(c, "group_size", !symmetric), format == "gptq" ? Packing::gptq : Packing::gptq_v2}};
  if (const auto lists = c.find("modules_in_block_to_quantize")) {
    g.any = false;
    for (const JsonNode& list : lists->as_list(1, kMaxPatterns))
      for (const JsonNode& entry : list.as_list(0, kMaxPatterns))
        g.targets.push_back(pattern(entry, Dialect::glob, "*." + entry.as_string(1000)));
  }
  groups_.push_back(std::move(g));
}

void Quantization::read_modelopt(const JsonNode& c) {
  c.refuse_other_keys(Names{"quant_method", "quant_algo", "kv_cache_quant_algo", "group_size", "exclude_modules",
                            "ignore", "producer", "config_groups", "kv_cache_scheme", "has_zero_point",
                            "pre_quant_scale"});
  const JsonNode algo = c.at("quant_algo");
  const std::string word = algo.as_string(64);
  if (word == "NVFP4") {
    expect_int(c, "group_size", 16);
    groups_.push_back({{&weight_format("nvfp4"), Packing::nvfp4_modelopt}, Reach::linears, true});
  } else if (word == "FP8") {
    groups_.push_back({{&weight_format("fp8_channel"), Packing::fp8}, Reach::linears, true});
  } else {
    const Names known{"NVFP4", "FP8"};
    algo.fail(fmt::format("quantised weights (\"{}\") are not supported{}; known are: {}", word,
                          did_you_mean(word, known), fmt::join(known, ", ")));
  }
  expect_flag(c, "pre_quant_scale", false, "scales of the input are not known");
  if (c.find("kv_cache_quant_algo") || c.find("kv_cache_scheme"))
    notes_.push_back("the quantisation of the KV cache is not followed");
  for (const char* key : {"exclude_modules", "ignore"}) ignore(c, key, Dialect::glob);
}

}  // namespace layercost

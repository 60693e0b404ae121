// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/model_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <system_error>

#include "harness/spec/json_reader.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

// What a number in a config may be. The largest published models have hidden 18432, 160 layers, 256 heads, 512 experts
// and 262144 words; the limits leave a factor of ten and more, and keep every later product far from 2^63.
constexpr std::int64_t kMaxHidden = std::int64_t{1} << 20;
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxHeads = 1 << 14;
constexpr std::int64_t kMaxHeadDim = 1 << 13;
constexpr std::int64_t kMaxFfn = std::int64_t{1} << 22;
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
constexpr std::int64_t kMaxExperts = 1 << 14;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 40;
constexpr std::int64_t kMaxParameters = 1'000'000'000'000'000;  // 1e15: a thousand times the largest of 2026

// What transformers takes when config.json does not say (classes of transformers 5.23, the same in 4.57). A missing
// size is an error instead: no published config leaves it out, and the class defaults belong to no real model.
struct Family {
  std::string_view model_type;
  // head_dim: 0 means hidden / heads. kv_heads: 0 means heads.
  std::int64_t default_head_dim, default_kv_heads;
  double default_rms_norm_eps, default_rope_theta;
  bool qk_norm;
  bool has_mlp_bias;
  // Biases of the attention: as the key `attention_bias` says (q, k, v and o), q, k and v always, or none.
  enum class Bias { by_key, qkv_always, never } bias;
  // Which layers see a window:
  //   none             the key is not read (llama)
  //   all              every layer, if `sliding_window` is given (mixtral)
  //   all_if_used      every layer, if `use_sliding_window` is true (qwen3_moe; it does not read max_window_layers)
  //   upper_if_used    `layer_types`, else layers >= max_window_layers, if `use_sliding_window` is true (qwen2, qwen3)
  enum class Window { none, all, all_if_used, upper_if_used } window;
  enum class Moe { none, mixtral, qwen3_moe } moe;
};

constexpr std::array kFamilies{
    Family{"llama", 0, 0, 1e-6, 1e4, false, true, Family::Bias::by_key, Family::Window::none, Family::Moe::none},
    Family{"mixtral", 0, 8, 1e-5, 1e6, false, false, Family::Bias::never, Family::Window::all, Family::Moe::mixtral},
    Family{"qwen2", 0, 32, 1e-6, 1e4, false, false, Family::Bias::qkv_always, Family::Window::upper_if_used,
           Family::Moe::none},
    Family{"qwen3", 128, 32, 1e-6, 1e4, true, false, Family::Bias::by_key, Family::Window::upper_if_used,
           Family::Moe::none},
    Family{"qwen3_moe", 0, 4, 1e-6, 1e4, true, false, Family::Bias::by_key, Family::Window::all_if_used,
           Family::Moe::qwen3_moe},
};

std::string join(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

const Family& family_of(const JsonNode& config) {
  if (!config.has("model_type") && config.find("text_config")) {
    config.fail("text_config", "models with a nested text_config are not supported yet");
  }
  const std::string type = config.get_string("model_type", 64);
  for (const Family& family : kFamilies) {
    if (family.model_type != type) continue;
    if (config.find("text_config")) {
      config.fail("text_config", "models with a nested text_config are not supported yet");
    }
    return family;
  }
  const std::vector<std::string> known = known_model_types();
  config.fail("model_type",
              fmt::format("unknown model_type \"{}\"{}; known are: {}", type, did_you_mean(type, known), join(known)));
}

void read_head_shapes(const JsonNode& config, const Family& family, ModelSpec& spec) {
  spec.heads = config.get_int("num_attention_heads", 1, kMaxHeads);
  if (const auto given = config.find_int("num_key_value_heads", 1, kMaxHeads)) {
    spec.kv_heads = *given;
  } else if (config.has("num_key_value_heads") || family.default_kv_heads == 0) {
    spec.kv_heads = spec.heads;
  } else {
    spec.kv_heads = family.default_kv_heads;
    spec.notes.push_back(fmt::format("num_key_value_heads is absent: {} as transformers takes it", spec.kv_heads));
  }
  if (spec.heads % spec.kv_heads != 0) {
    config.fail("num_key_value_heads",
                fmt::format("num_attention_heads ({}) is not a multiple of num_key_value_heads ({})", spec.heads,
                            spec.kv_heads));
  }

  if (const auto given = config.find_int("head_dim", 2, kMaxHeadDim)) {
    spec.head_dim = *given;
  } else if (!config.has("head_dim") && family.default_head_dim != 0) {
    spec.head_dim = family.default_head_dim;
    spec.notes.push_back(fmt::format("head_dim is absent: {} as transformers takes it", spec.head_dim));
  } else {
    if (spec.hidden % spec.heads != 0) {
      config.fail("hidden_size", fmt::format("head_dim is absent and hidden_size ({}) is not a multiple of "
                                             "num_attention_heads ({})",
                                             spec.hidden, spec.heads));
    }
    spec.head_dim = spec.hidden / spec.heads;
    if (spec.head_dim < 2 || spec.head_dim > kMaxHeadDim) {
      config.fail("hidden_size", fmt::format("head_dim is absent and hidden_size / num_attention_heads is {}; expected "
                                             "2..{}",
                                             spec.head_dim, kMaxHeadDim));
    }
  }
  if (spec.head_dim % 2 != 0) {
    config.fail("head_dim", fmt::format("expected an even number (rope turns pairs), got {}", spec.head_dim));
  }
}

// transformers 4 writes `rope_theta` and `rope_scaling`, 5 writes `rope_parameters` with both inside. Where several
// are there, transformers 5 takes rope_scaling before rope_parameters, and a rope_theta inside before the one outside.
RopeSpec read_rope(const JsonNode& config, const Family& family, ModelSpec& spec) {
  constexpr double kMaxTheta = 1e15;
  RopeSpec rope;
  rope.theta = config.find_number("rope_theta", 1.0, kMaxTheta).value_or(family.default_rope_theta);
  const auto refuse_partial = [&](const JsonNode& node) {
    const auto partial = node.find_number("partial_rotary_factor", 0.0, 1.0);
    if (partial && *partial != 1.0) {
      node.fail("partial_rotary_factor",
                fmt::format("{} rotates whole heads; expected 1, got {:g}", family.model_type, *partial));
    }
  };
  refuse_partial(config);

  // An empty object counts as absent, as it does there.
  std::optional<JsonNode> given = config.find("rope_scaling");
  if (given && given->keys().empty()) given.reset();
  if (const auto parameters = config.find("rope_parameters"); parameters && !parameters->keys().empty()) {
    if (given) {
      spec.notes.push_back("rope_parameters is ignored: rope_scaling is given too and comes first in transformers");
    } else {
      given = parameters;
    }
  }
  if (!given) return rope;

  for (const char* nested : {"full_attention", "sliding_attention"}) {
    if (given->has(nested)) given->fail(nested, "rope per kind of layer is not supported yet");
  }
  refuse_partial(*given);
  if (const auto theta = given->find_number("rope_theta", 1.0, kMaxTheta)) rope.theta = *theta;

  const auto rope_type = given->find_string("rope_type", 32);
  const auto old_type = given->find_string("type", 32);
  if (rope_type && old_type && *rope_type != *old_type) {
    spec.notes.push_back(fmt::format("rope type \"{}\" is ignored: rope_type says \"{}\"", *old_type, *rope_type));
  }
  const std::string type = rope_type ? *rope_type : old_type.value_or("default");
  if (type == "default") return rope;
  if (type == "linear") {
    rope.kind = RopeSpec::Kind::linear;
    rope.factor = given->get_number("factor", 1.0, 1e6);
    return rope;
  }
  if (type == "llama3") {
    rope.kind = RopeSpec::Kind::llama3;
    rope.factor = given->get_number("factor", 1.0, 1e6);
    rope.low_freq_factor = given->get_number("low_freq_factor", 1e-6, 1e6);
    rope.high_freq_factor = given->get_number("high_freq_factor", 1e-6, 1e6);
    if (rope.high_freq_factor < rope.low_freq_factor) {
      given->fail("high_freq_factor", fmt::format("expected at least low_freq_factor ({:g}), got {:g}",
                                                  rope.low_freq_factor, rope.high_freq_factor));
    }
    // A value beside rope_scaling comes first in transformers; without any it is max_position_embeddings.
    const auto outside = config.find_int("original_max_position_embeddings", 1, kMaxPositions);
    const auto inside = given->find_int("original_max_position_embeddings", 1, kMaxPositions);
    if (outside || inside) {
      rope.original_max_position = outside ? *outside : *inside;
    } else if (spec.max_position > 0) {
      rope.original_max_position = spec.max_position;
    } else {
      given->fail("original_max_position_embeddings", "the key is missing, and so is max_position_embeddings");
    }
    return rope;
  }
  const std::vector<std::string> known{"default", "linear", "llama3"};
  given->fail(rope_type ? "rope_type" : "type", fmt::format("rope type \"{}\" is not supported yet{}; known are: {}",
                                                            type, did_you_mean(type, known), join(known)));
}

std::vector<std::string> read_layer_words(const JsonNode& config, std::string_view key, std::int64_t layers,
                                          const std::vector<std::string>& known) {
  std::vector<std::string> words;
  const auto list = config.find(key);
  if (!list) return words;
  const auto count = static_cast<std::size_t>(layers);
  if (list->is_list() && list->as_list().size() != count) {
    list->fail(fmt::format("expected a list of num_hidden_layers ({}), got {}", layers, list->described()));
  }
  for (const JsonNode& item : list->as_list()) {
    words.push_back(item.as_string(64));
    if (std::find(known.begin(), known.end(), words.back()) == known.end()) {
      item.fail(fmt::format("layers of kind \"{}\" are not supported yet{}; known are: {}", words.back(),
                            did_you_mean(words.back(), known), join(known)));
    }
  }
  return words;
}

void read_windows(const JsonNode& config, const Family& family, ModelSpec& spec) {
  const bool by_switch = family.window == Family::Window::all_if_used || family.window == Family::Window::upper_if_used;
  const bool used =
      by_switch ? config.find_bool("use_sliding_window").value_or(false) : family.window == Family::Window::all;
  std::int64_t window = 0;
  if (used) {
    // Absent (not null) means 4096 in the qwen classes and no window in mixtral.
    if (by_switch && !config.has("sliding_window")) {
      window = 4096;
      spec.notes.push_back("sliding_window is absent and use_sliding_window is true: 4096 as transformers takes it");
    } else {
      window = config.find_int("sliding_window", 1, kMaxPositions).value_or(0);
    }
  }
  const std::int64_t first =
      family.window == Family::Window::upper_if_used
          ? config.find_int("max_window_layers", 0, std::numeric_limits<std::int32_t>::max()).value_or(28)
          : 0;
  for (std::int64_t i = 0; i < spec.layers; ++i) {
    spec.layer_kinds[static_cast<std::size_t>(i)].window = i >= first ? window : 0;
  }

  const std::vector<std::string> kinds =
      read_layer_words(config, "layer_types", spec.layers, {"full_attention", "sliding_attention"});
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const bool slides = kinds[i] == "sliding_attention";
    std::int64_t& own = spec.layer_kinds[i].window;
    if (family.window == Family::Window::upper_if_used && (!slides || window > 0)) {
      own = slides ? window : 0;
    } else if (slides != (own > 0)) {
      // The other classes do not read the list, and qwen2 and qwen3 cannot run with a window that is switched off. To
      // follow either side in silence would measure another model than the reader has in mind.
      config.fail(fmt::format("layer_types[{}]", i),
                  fmt::format("\"{}\" contradicts the window that model_type {} computes from the other keys ({})",
                              kinds[i], family.model_type, own > 0 ? fmt::format("{} keys", own) : "none"));
    }
  }
}

std::int64_t read_experts(const JsonNode& config, std::string_view usual, std::string_view other) {
  const auto first = config.find_int(usual, 1, kMaxExperts);
  const auto second = config.find_int(other, 1, kMaxExperts);
  if (first && second && *first != *second) {
    config.fail(usual, fmt::format("{} contradicts {} ({})", *first, other, *second));
  }
  if (first) return *first;
  if (second) return *second;
  return config.get_int(usual, 1, kMaxExperts);  // for its message
}

void read_moe(const JsonNode& config, const Family& family, ModelSpec& spec) {
  MoeSpec moe;
  bool any_dense = false;
  if (family.moe == Family::Moe::none) {
    any_dense = true;
  } else if (family.moe == Family::Moe::mixtral) {
    moe.experts = read_experts(config, "num_local_experts", "num_experts");
    moe.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
    moe.renormalise = true;
    moe.prefix = "block_sparse_moe";
    moe.gate_name = "w1", moe.up_name = "w3", moe.down_name = "w2";
    for (LayerKind& kind : spec.layer_kinds) kind.is_moe = true;
  } else {
    // transformers 5 writes num_local_experts where 4 wrote num_experts.
    moe.experts = read_experts(config, "num_experts", "num_local_experts");
    moe.renormalise = config.find_bool("norm_topk_prob").value_or(false);
    moe.prefix = "mlp";
    moe.gate_name = "gate_proj", moe.up_name = "up_proj", moe.down_name = "down_proj";
    const std::int64_t step =
        config.find_int("decoder_sparse_step", 1, std::numeric_limits<std::int32_t>::max()).value_or(1);
    std::vector<std::int64_t> dense;
    if (const auto list = config.find("mlp_only_layers")) dense = list->as_int_list(0, spec.layers - 1);
    for (std::int64_t i = 0; i < spec.layers; ++i) {
      const bool is_moe = (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), i) == dense.end();
      spec.layer_kinds[static_cast<std::size_t>(i)].is_moe = is_moe;
      any_dense |= !is_moe;
    }
    const std::vector<std::string> words =
        read_layer_words(config, "mlp_layer_types", spec.layers, {"dense", "sparse"});
    for (std::size_t i = 0; i < words.size(); ++i) {
      if ((words[i] == "sparse") != spec.layer_kinds[i].is_moe) {
        config.fail(fmt::format("mlp_layer_types[{}]", i),
                    fmt::format("\"{}\" contradicts decoder_sparse_step and mlp_only_layers", words[i]));
      }
    }
    if (config.find_int("shared_expert_intermediate_size", 0, kMaxFfn).value_or(0) > 0) {
      config.fail("shared_expert_intermediate_size",
                  "model_type qwen3_moe has no shared expert; expected 0 or no such key");
    }
  }
  if (any_dense) spec.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  if (family.moe == Family::Moe::none) return;

  moe.top_k = config.get_int("num_experts_per_tok", 1, kMaxExperts);
  if (moe.top_k > moe.experts) {
    config.fail("num_experts_per_tok", fmt::format("chooses {} of {} experts", moe.top_k, moe.experts));
  }
  if (family.moe == Family::Moe::qwen3_moe) moe.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  const bool any_moe =
      std::any_of(spec.layer_kinds.begin(), spec.layer_kinds.end(), [](const LayerKind& k) { return k.is_moe; });
  if (any_moe) {
    spec.moe = moe;
  } else {
    spec.notes.push_back("decoder_sparse_step and mlp_only_layers leave no layer with experts");
  }
}

// Where a quantised checkpoint says so: transformers, older compressed-tensors, MLX. null is no quantisation.
// Weights of 4 bits are a quarter of the bytes of bf16, and reading weights is what decoding costs.
void refuse_quantised(const JsonNode& config, const fs::path& file) {
  const auto refuse = [](const JsonNode& node, std::string_view key, const std::string& method) {
    node.fail(key, fmt::format("quantised weights ({}) are not supported yet, and as bf16 they would get the price of "
                               "another model; expected the config.json of the unquantised model, or this one without "
                               "its quantisation to measure its shapes in bf16",
                               method));
  };
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    const auto node = config.find(key);
    if (!node) continue;
    const auto method = node->find_string("quant_method", 64);
    const auto bits = node->find_int("bits", 1, 64);
    refuse(config, key, method ? *method : bits ? fmt::format("{} bits", *bits) : "no quant_method");
  }
  // NVIDIA's ModelOpt leaves config.json as it was and writes a file beside it. A null quant_algo: only the KV cache.
  std::error_code ignored;
  const fs::path beside = file.parent_path() / "hf_quant_config.json";
  if (!fs::exists(beside, ignored)) return;
  const JsonNode quantization = read_json(beside).at("quantization");
  if (quantization.has("quant_algo") && !quantization.find("quant_algo")) return;
  refuse(quantization, "quant_algo", quantization.find_string("quant_algo", 64).value_or("no quant_algo"));
}

// Sums and products that cannot wrap: what does not fit is clamped to the largest number, which every limit refuses.
class Clamped {
 public:
  Clamped(std::int64_t value) : value_(value) {}  // NOLINT: conversion wanted
  Clamped operator*(Clamped other) const {
    std::int64_t result = 0;
    return __builtin_mul_overflow(value_, other.value_, &result) ? kMost : result;
  }
  Clamped operator+(Clamped other) const {
    std::int64_t result = 0;
    return __builtin_add_overflow(value_, other.value_, &result) ? kMost : result;
  }
  std::int64_t value() const { return value_; }

 private:
  static constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::int64_t value_;
};

// "Qwen--Qwen3-4B" of a shipped file and "models--Qwen--Qwen3-4B" of a download cache are Org and Name; "" if neither.
std::pair<std::string, std::string> split_org_name(std::string text) {
  if (text.starts_with("models--")) text.erase(0, 8);
  const std::size_t cut = text.find("--");
  if (cut == std::string::npos || cut == 0 || cut + 2 == text.size()) return {};
  return {text.substr(0, cut), text.substr(cut + 2)};
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void set_name(const fs::path& file, ModelSpec& spec) {
  const fs::path absolute = fs::absolute(file).lexically_normal();
  if (absolute.filename() != "config.json") {
    const auto [org, name] = split_org_name(absolute.stem().string());
    spec.name = printable(name.empty() ? absolute.stem().string() : lower(name));
    if (!name.empty()) spec.id = printable(org + "/" + name);
    return;
  }
  fs::path folder = absolute.parent_path();
  // .../models--Org--Name/snapshots/<hash>/config.json: the folder's own name is a hash.
  if (folder.parent_path().filename() == "snapshots") {
    const auto [org, name] = split_org_name(folder.parent_path().parent_path().filename().string());
    if (!name.empty()) {
      spec.name = printable(lower(name));
      spec.id = printable(org + "/" + name);
      return;
    }
  }
  spec.name = printable(folder.filename().string());
}

struct ShippedModel {
  std::string name, id;
  fs::path file;
};

std::vector<ShippedModel> shipped_models(const fs::path& configs_dir) {
  const fs::path folder = configs_dir / "models";
  std::error_code error;
  fs::directory_iterator files(folder, error);
  if (error) throw BadInput(folder.string(), "", fmt::format("cannot be listed: {}", error.message()));
  std::vector<ShippedModel> models;
  for (const fs::directory_entry& file : files) {
    const fs::path& path = file.path();
    if (path.extension() != ".json" || path.stem().extension() == ".source") continue;
    const auto [org, name] = split_org_name(path.stem().string());
    if (name.empty()) throw BadInput(path.string(), "", "the name is not of the form Org--Name.json");
    models.push_back({lower(name), org + "/" + name, path});
  }
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < models.size(); ++i) {
    if (models[i - 1].name == models[i].name) {
      throw BadInput(
          models[i].file.string(), "",
          fmt::format("the model name \"{}\" is taken by {}", models[i].name, models[i - 1].file.filename().string()));
    }
  }
  return models;
}

}  // namespace

std::vector<std::string> known_model_types() {
  std::vector<std::string> types;
  for (const Family& family : kFamilies) types.emplace_back(family.model_type);
  return types;
}

ParameterCount count_parameters(const ModelSpec& spec) {
  const Clamped hidden = spec.hidden, q = spec.q_dim(), kv = spec.kv_dim();
  Clamped attention = hidden * q + Clamped(2) * hidden * kv + q * hidden;
  if (spec.qkv_bias) attention = attention + q + Clamped(2) * kv;
  if (spec.o_bias) attention = attention + hidden;
  if (spec.qk_norm) attention = attention + Clamped(2) * spec.head_dim;
  const Clamped norms = Clamped(2) * hidden;
  Clamped dense = Clamped(3) * hidden * spec.ffn_hidden;
  if (spec.mlp_bias) dense = dense + Clamped(2) * spec.ffn_hidden + hidden;

  Clamped total_layers = 0, active_layers = 0;
  for (const LayerKind& kind : spec.layer_kinds) {
    const Clamped common = attention + norms;
    if (kind.is_moe && spec.moe) {
      const Clamped router = hidden * spec.moe->experts;
      const Clamped expert = Clamped(3) * hidden * spec.moe->ffn_hidden;
      total_layers = total_layers + common + router + expert * spec.moe->experts;
      active_layers = active_layers + common + router + expert * spec.moe->top_k;
    } else {
      total_layers = total_layers + common + dense;
      active_layers = active_layers + common + dense;
    }
  }
  const Clamped embedding = hidden * spec.vocab;
  const Clamped tables = spec.tied_embeddings ? embedding : embedding + embedding;
  return {.total = (total_layers + hidden + tables).value(),
          .active = (active_layers + hidden + embedding).value(),
          .active_layers = active_layers.value()};
}

std::int64_t kv_elements_per_token(const ModelSpec& spec) { return 2 * spec.layers * spec.kv_dim(); }

ModelSpec read_model(const fs::path& path) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? path / "config.json" : path;
  const JsonNode config = read_json(file);
  const Family& family = family_of(config);
  refuse_quantised(config, file);

  ModelSpec spec;
  spec.path = file.string();
  set_name(file, spec);
  spec.model_type = family.model_type;
  spec.hidden = config.get_int("hidden_size", 1, kMaxHidden);
  spec.layers = config.get_int("num_hidden_layers", 1, kMaxLayers);
  spec.vocab = config.get_int("vocab_size", 1, kMaxVocab);
  spec.max_position = config.find_int("max_position_embeddings", 1, kMaxPositions).value_or(0);
  spec.rms_norm_eps = config.find_number("rms_norm_eps", 1e-30, 1.0).value_or(family.default_rms_norm_eps);
  spec.tied_embeddings = config.find_bool("tie_word_embeddings").value_or(false);
  spec.layer_kinds.resize(static_cast<std::size_t>(spec.layers));
  read_head_shapes(config, family, spec);
  spec.rope = read_rope(config, family, spec);
  // "swish" is another name of the same function.
  const std::string activation = config.find_string("hidden_act", 64).value_or("silu");
  if (activation != "silu" && activation != "swish") {
    config.fail("hidden_act", fmt::format("expected \"silu\", got \"{}\"", activation));
  }

  const bool attention_bias = family.bias == Family::Bias::by_key && config.find_bool("attention_bias").value_or(false);
  spec.qkv_bias = attention_bias || family.bias == Family::Bias::qkv_always;
  spec.o_bias = attention_bias;
  spec.mlp_bias = family.has_mlp_bias && config.find_bool("mlp_bias").value_or(false);
  spec.qk_norm = family.qk_norm;
  read_windows(config, family, spec);
  read_moe(config, family, spec);
  if (config.has("auto_map")) spec.notes.push_back("auto_map names code; it is never followed");

  if (count_parameters(spec).total > kMaxParameters) {
    throw BadInput(spec.path, "",
                   fmt::format("the shapes amount to more than {:.0e} parameters", double{kMaxParameters}));
  }
  return spec;
}

std::vector<std::string> list_models(const fs::path& configs_dir) {
  std::vector<std::string> names;
  for (ShippedModel& model : shipped_models(configs_dir)) names.push_back(std::move(model.name));
  return names;
}

ModelSpec find_model(const std::string& name_or_path, const fs::path& configs_dir) {
  const std::vector<ShippedModel> models = shipped_models(configs_dir);
  const std::string wanted = lower(name_or_path);
  for (const ShippedModel& model : models) {
    if (wanted == model.name || wanted == lower(model.id)) return read_model(model.file);
  }
  std::error_code ignored;
  if (fs::exists(name_or_path, ignored)) return read_model(name_or_path);
  std::vector<std::string> known, spellings;
  for (const ShippedModel& model : models) known.push_back(model.name);
  spellings = known;
  for (const ShippedModel& model : models) spellings.push_back(model.id);
  throw BadInput(fmt::format("no model \"{}\"{}: neither a file nor one of: {}", printable(name_or_path),
                             did_you_mean(name_or_path, spellings), join(known)));
}

}  // namespace layercost

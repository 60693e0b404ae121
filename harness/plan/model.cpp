// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "harness/plan/counts.h"
#include "harness/plan/family.h"
#include "harness/plan/head.h"
#include "harness/plan/layer_builder.h"
#include "harness/plan/layer_keys.h"
#include "harness/spec/json_reader.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxParameters = 1'000'000'000'000'000;  // 1e15: a thousand times the largest of 2026

constexpr JsonLimits kConfigLimits{.max_bytes = std::uint64_t{8} << 20,
                                   .remembers_keys = true};  // the largest published one known has 3.1 MB

// The part of a config.json that describes layers of text, and whose they are.
struct LanguagePart {
  JsonNode config;
  const Family& family;
  bool of_multimodal = false;
};

LanguagePart language_part(const JsonNode& config) {
  const std::optional<JsonNode> inner = config.find("text_config");
  const JsonNode& text = inner ? *inner : config;
  const std::string type = text.get_string("model_type", 64);
  for (const Family* family : all_families()) {
    const auto& multimodal = family->multimodal;
    const bool pictures = std::find(multimodal.begin(), multimodal.end(), type) != multimodal.end();
    if (family->model_type == type || pictures) return {text, *family, inner.has_value() || pictures};
  }
  std::vector<std::string> known = known_model_types();
  for (const Family* family : all_families())
    known.insert(known.end(), family->multimodal.begin(), family->multimodal.end());
  text.fail("model_type", fmt::format("unknown model_type \"{}\"{}; known are: {}", type, did_you_mean(type, known),
                                      fmt::join(known, ", ")));
}

// Embedding models made of causal ones say so here; the layers of every family look back only.
void refuse_bidirectional(const JsonNode& text) {
  const auto refuse = [&](const char* key) {
    text.fail(key,
              "its attention looks at later tokens too, which is not supported yet; as a causal model it would get "
              "the price of another one");
  };
  if (!text.find_bool("is_causal").value_or(true)) refuse("is_causal");
  if (text.find_bool("use_bidirectional_attention").value_or(false)) refuse("use_bidirectional_attention");
}

// transformers' rule since 5; before, files of models with pictures said it in either place.
bool tied(const JsonNode& config, const JsonNode& text) {
  return config.find_bool("tie_word_embeddings").value_or(false) ||
         text.find_bool("tie_word_embeddings").value_or(false);
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
  for (const char* key : {"quant_algo", "quant_method", "quantize"})  // of tools that write them flat
    if (const auto method = config.find(key); method && method->is_string()) refuse(config, key, method->as_string(64));
  for (const char* key : {"torch_dtype", "dtype"})
    if (const auto type = config.find(key); type && type->is_string())
      for (const char* small : {"float8", "int8", "uint8", "int4", "uint4", "float4"})
        if (type->as_string(64).find(small) != std::string::npos) refuse(config, key, type->as_string(64));
  for (const char* key : {"quantization_config", "compression_config", "quantization", "quant_config"}) {
    const auto node = config.find(key);
    if (!node) continue;
    auto method = node->find_string("quant_method", 64);
    if (!method) method = node->find_string("quant_algo", 64);
    const auto bits = node->find_int("bits", 1, 64);
    refuse(config, key, method ? *method : bits ? fmt::format("{} bits", *bits) : "no quant_method");
  }
  // NVIDIA's ModelOpt leaves config.json as it was and writes a file beside it. A null quant_algo: only the KV cache.
  std::error_code ignored;
  if (file.filename() == "config.json")  // GPTQ and AWQ, before transformers knew them
    for (const char* name : {"quantize_config.json", "quant_config.json", "quantization_config.json"})
      if (const fs::path older = file.parent_path() / name; fs::exists(older, ignored)) {
        const JsonNode node = read_json(older, kConfigLimits);
        refuse(node, "", fmt::format("{} bits", node.find("bits") ? node.find("bits")->described() : "unknown"));
      }
  fs::path beside = file.parent_path() / "hf_quant_config.json";
  if (file.filename() != "config.json")  // of several models in one folder
    if (const fs::path own = file.parent_path() / (file.stem().string() + ".hf_quant_config.json");
        fs::exists(own, ignored))
      beside = own;
  if (!fs::exists(beside, ignored)) return;
  const JsonNode quantization = read_json(beside, kConfigLimits).at("quantization");
  if (quantization.has("quant_algo") && !quantization.find("quant_algo")) return;
  refuse(quantization, "quant_algo", quantization.find_string("quant_algo", 64).value_or("no quant_algo"));
}

bool says_quantised(const std::string& name) {
  const std::string low = ascii_lower(name);
  for (const char* word :
       {"nvfp4", "mxfp4", "awq", "gptq", "fp8", "fp4", "int4", "int8", "4bit", "8bit", "w4a16", "w8a8"})
    if (low.find(word) != std::string::npos) return true;
  return false;
}

// "Qwen--Qwen3-4B" of a shipped file and "models--Qwen--Qwen3-4B" of a download cache are Org and Name; "" if neither.
std::pair<std::string, std::string> split_org_name(std::string text) {
  if (text.starts_with("models--")) text.erase(0, 8);
  const std::size_t cut = text.find("--");
  if (cut == std::string::npos || cut == 0 || cut + 2 == text.size()) return {};
  return {text.substr(0, cut), text.substr(cut + 2)};
}

void set_name(const fs::path& file, ModelSpec& spec) {
  const fs::path absolute = fs::absolute(file).lexically_normal();
  if (absolute.filename() != "config.json") {
    const auto [org, name] = split_org_name(absolute.stem().string());
    spec.name = printable(name.empty() ? absolute.stem().string() : ascii_lower(name));
    if (!name.empty()) spec.id = printable(org + "/" + name);
    return;
  }
  fs::path folder = absolute.parent_path();
  // .../models--Org--Name/snapshots/<hash>/config.json: the folder's own name is a hash.
  if (folder.parent_path().filename() == "snapshots") {
    const auto [org, name] = split_org_name(folder.parent_path().parent_path().filename().string());
    if (!name.empty()) {
      spec.name = printable(ascii_lower(name));
      spec.id = printable(org + "/" + name);
      return;
    }
  }
  // A file right in somebody's home would carry that person's name into results.
  const char* home = std::getenv("HOME");
  std::error_code ignored;
  const bool at_home = home != nullptr && fs::equivalent(folder, home, ignored);
  spec.name = at_home ? "model" : printable(folder.filename().string());
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
    models.push_back({ascii_lower(name), org + "/" + name, path});
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
  for (const Family* family : all_families()) types.emplace_back(family->model_type);
  return types;
}

void ModelSpec::add_layer(std::string kind, std::function<void(LayerBuilder&)> lower) {
  const auto it = std::find_if(kinds.begin(), kinds.end(), [&](const LayerKind& k) { return k.name == kind; });
  kind_of_layer.push_back(static_cast<std::size_t>(it - kinds.begin()));
  if (it == kinds.end()) kinds.push_back({std::move(kind), std::move(lower)});
}

std::int64_t ModelSpec::count_of(const LayerKind& kind) const {
  return std::count_if(kind_of_layer.begin(), kind_of_layer.end(),
                       [&](std::size_t k) { return kinds[k].name == kind.name; });
}

LayerPlan plan_layer(const ModelSpec& m, const LayerKind& kind, const StepShape& shape) {
  LayerBuilder b(m, shape);
  kind.lower(b);
  b.plan().kind = kind.name;
  b.plan().count = m.count_of(kind);
  return std::move(b.plan());
}

LayerPlan plan_head(const ModelSpec& m, std::int64_t sequences, const StepShape& shape) {
  StepShape s = shape;
  s.batch = sequences;
  s.q_len = 1;
  LayerBuilder b(m, s);
  b.plan().kind = "head";
  b.plan().count = 1;
  b.plan().adds_to_input = false;
  const std::string input = b.activation("input", m.hidden, BufferRole::input);
  const std::string norm = b.norm_weight("final_norm", m.hidden, "model.norm.weight");
  if (m.head.kind == HeadSpec::Kind::none) {
    b.rms_norm("final norm", input, norm, b.activation("output", m.hidden, BufferRole::output), m.hidden);
    return std::move(b.plan());
  }
  const bool language = m.head.kind == HeadSpec::Kind::language;
  const std::int64_t rows = m.head.rows;
  const std::string tensor = language ? "lm_head" : "score", normed = b.activation("normed", m.hidden);
  const std::string logits = b.buffer("output", BufferRole::output, DType::f32, {sequences, rows});
  b.rms_norm("final norm", input, norm, normed, m.hidden);
  b.linear(language ? "lm head" : "score", normed,
           b.matrix(tensor, {rows, m.hidden}, {{tensor + ".weight", {rows, m.hidden}}}, shape.weights.head), logits,
           rows, m.hidden, {.y_type = DType::f32, .w_type = shape.weights.head});
  return std::move(b.plan());
}

ModelSpec read_model(const fs::path& path, const std::string& architecture) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? path / "config.json" : path;
  const JsonNode config = read_json(file, kConfigLimits);
  const auto [text, family, of_multimodal] = language_part(config);
  refuse_quantised(config, file);
  if (text.place() != config.place()) refuse_quantised(text, file);
  refuse_bidirectional(text);

  ModelSpec m;
  m.path = file.string();
  set_name(file, m);
  m.model_type = family.model_type;
  m.hidden = text.get_int("hidden_size", 1, kMaxHidden);
  m.layers = text.get_int("num_hidden_layers", 1, kMaxLayers);
  m.vocab = text.get_int("vocab_size", 1, kMaxVocab);
  m.max_position = text.find_int("max_position_embeddings", 1, kMaxPositions).value_or(0);
  m.rms_norm_eps = text.find_number("rms_norm_eps", 1e-30, 1.0).value_or(family.default_rms_norm_eps);
  // "swish" is another name of the same function.
  const std::string activation = text.find_string("hidden_act", 64).value_or("silu");
  if (activation != "silu" && activation != "swish") {
    text.fail("hidden_act", fmt::format("expected \"silu\", got \"{}\"", activation));
  }
  if (says_quantised(m.name))
    m.notes.push_back("the name is one of a quantised model, but nothing here says how: measured as what --dtype says");
  if (of_multimodal) m.notes.push_back("the language part alone; what reads pictures or sound is left out");
  m.head = read_head(config, family, architecture, of_multimodal, m);
  m.tied_embeddings = m.head.kind == HeadSpec::Kind::language && tied(config, text);
  family.read(text, m);
  refuse_unread_layer_keys(text, m.model_type);
  for (const LayerKind& kind : m.kinds)
    if (!m.experts) m.experts = plan_layer(m, kind, {}).experts();
  if (config.has("auto_map")) m.notes.push_back("auto_map names code; it is never followed");

  if (count_parameters(m).total > kMaxParameters) {
    throw BadInput(m.path, "", fmt::format("the shapes amount to more than {:.0e} parameters", double{kMaxParameters}));
  }
  return m;
}

std::vector<std::string> list_models(const fs::path& configs_dir) {
  std::vector<std::string> names;
  for (ShippedModel& model : shipped_models(configs_dir)) names.push_back(std::move(model.name));
  return names;
}

ModelSpec find_model(const std::string& name_or_path, const fs::path& configs_dir, const std::string& architecture) {
  const std::vector<ShippedModel> models = shipped_models(configs_dir);
  const std::string wanted = ascii_lower(name_or_path);
  for (const ShippedModel& model : models) {
    if (wanted == model.name || wanted == ascii_lower(model.id)) return read_model(model.file, architecture);
  }
  std::error_code ignored;
  if (fs::exists(name_or_path, ignored)) return read_model(name_or_path, architecture);
  std::vector<std::string> known, spellings;
  for (const ShippedModel& model : models) known.push_back(model.name);
  spellings = known;
  for (const ShippedModel& model : models) spellings.push_back(model.id);
  throw BadInput(fmt::format("no model \"{}\"{}: neither a file nor one of: {}", printable(name_or_path),
                             did_you_mean(name_or_path, spellings), fmt::join(known, ", ")));
}

}  // namespace layercost

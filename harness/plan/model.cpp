// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "harness/plan/counts.h"
#include "harness/plan/expert_parallel.h"
#include "harness/plan/family.h"
#include "harness/plan/head.h"
#include "harness/plan/layer_builder.h"
#include "harness/plan/layer_keys.h"
#include "harness/plan/tensor_parallel.h"
#include "harness/plan/what_if.h"
#include "harness/spec/closed_model.h"
#include "harness/spec/json_reader.h"
#include "harness/spec/list_price.h"
#include "harness/spec/part_name.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxParameters = 1'000'000'000'000'000;  // 1e15: a thousand times the largest of 2026

constexpr std::string_view kMtpSuffix = "@mtp";

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
    const auto& aliases = family->aliases;
    if (family->model_type == type || pictures || std::find(aliases.begin(), aliases.end(), type) != aliases.end())
      return {text, *family, inner.has_value() || pictures};
  }
  std::vector<std::string> known = known_model_types();
  for (const Family* family : all_families())
    for (const auto& others : {family->aliases, family->multimodal})
      known.insert(known.end(), others.begin(), others.end());
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
  constexpr const char* kBoth = "use_bidirectional_attention";
  const auto both = text.find(kBoth);
  if (!both) return;
  // Gemma 4 says it in words: "vision" is of pictures' tokens among themselves.
  if (both->is_string() ? expect_word(text, kBoth, {"all", "vision"}, "") == "all" : both->as_bool()) refuse(kBoth);
}

// transformers' rule since 5; before, files of models with pictures said it in either place.
bool tied(const JsonNode& config, const JsonNode& text, bool absent) {
  if (!config.has("tie_word_embeddings") && !text.has("tie_word_embeddings")) return absent;
  return config.find_bool("tie_word_embeddings").value_or(false) ||
         text.find_bool("tie_word_embeddings").value_or(false);
}

// Where a quantised checkpoint says so: transformers, older compressed-tensors, MLX, tools that write a file beside.
// null is no quantisation. Two places that say different things belong to two checkpoints.
std::shared_ptr<const Quantization> read_quantization(const JsonNode& config, const JsonNode& text,
                                                      const fs::path& file) {
  std::shared_ptr<const Quantization> found;
  const auto take = [&](const JsonNode& node, std::string_view method) {
    auto next = std::make_shared<const Quantization>(node, method);
    if (found && (found->method() != next->method() || &found->main_format() != &next->main_format()))
      throw BadInput(fmt::format("{}: {} of {}, but {} says {} of {}: two methods in one checkpoint", next->place(),
                                 next->method(), next->main_format().name, found->place(), found->method(),
                                 found->main_format().name));
    if (!found) found = std::move(next);
  };
  const std::vector<JsonNode> levels = text.place() == config.place() ? std::vector{config} : std::vector{config, text};
  for (const JsonNode& level : levels) {
    for (const char* key : {"quant_algo", "quant_method", "quantize"})  // of tools that write them flat
      if (const auto method = level.find(key); method && method->is_string())
        method->fail(
            fmt::format("quantised weights ({}) said beside the sizes are not supported; expected an object under "
                        "quantization_config",
                        method->as_string(64)));
    for (const char* key : {"quantization_config", "compression_config", "quantization", "quant_config"})
      if (const auto node = level.find(key)) take(*node, "");
  }
  std::error_code ignored;
  const auto beside = [&](const fs::path& path) { return fs::exists(path, ignored) ? path : fs::path(); };
  const fs::path folder = file.parent_path();
  if (file.filename() == "config.json") {  // GPTQ and AWQ, before transformers knew them
    if (const fs::path p = beside(folder / "quantize_config.json"); !p.empty())
      take(read_json(p, kConfigLimits), "gptq");
    if (const fs::path p = beside(folder / "quant_config.json"); !p.empty()) take(read_json(p, kConfigLimits), "awq");
    if (const fs::path p = beside(folder / "quantization_config.json"); !p.empty())
      take(read_json(p, kConfigLimits), "");
  }
  // NVIDIA's ModelOpt leaves config.json as it was and writes a file beside it. A null quant_algo: only the KV cache.
  fs::path modelopt = beside(folder / "hf_quant_config.json");
  if (file.filename() != "config.json")  // of several models in one folder
    if (const fs::path own = beside(folder / (file.stem().string() + ".hf_quant_config.json")); !own.empty())
      modelopt = own;
  if (!modelopt.empty())
    if (const JsonNode node = read_json(modelopt, kConfigLimits).at("quantization");
        !node.has("quant_algo") || node.find("quant_algo"))
      take(node, "modelopt");
  if (found) return found;
  for (const JsonNode& level : levels)
    for (const char* key : {"torch_dtype", "dtype"})
      if (const auto type = level.find(key); type && type->is_string())
        for (const char* small : {"float8", "int8", "uint8", "int4", "uint4", "float4"})
          if (type->as_string(64).find(small) != std::string::npos)
            type->fail(fmt::format("quantised weights ({}), but nothing says how; expected a quantization_config",
                                   type->as_string(64)));
  return nullptr;
}

// What may stand before "layers.N." and "lm_head" in a list that names modules; of a model of text alone the first.
std::vector<std::string> module_prefixes(bool of_multimodal) {
  if (!of_multimodal) return {"model."};
  return {"model.language_model.", "language_model.model.", "language_model.", "model."};
}

// The formats of one layer's matrices, or of the head's.
MatrixFormats formats_of(const ModelSpec& m, const LayerPlan& plan, const std::vector<std::string>& prefixes,
                         const std::string& layer) {
  const Quantization& q = *m.quantization;
  MatrixFormats out;
  for (const WeightSpec& w : plan.weights) {
    if (!w.quantisable) continue;
    const auto scheme_of = [&](const WeightSpec::Source& s) -> std::optional<QuantizationScheme> {
      std::string module = s.tensor;
      if (module.ends_with(".weight")) module.resize(module.size() - 7);
      std::optional<QuantizationScheme> scheme;
      for (const std::string& prefix : prefixes) {  // what one spelling ignores is ignored
        scheme = q.scheme_of(layer.empty() ? module : prefix + layer + module);
        if (!scheme) break;
      }
      return scheme;
    };
    const std::size_t looked_at = w.per_expert && !q.names_experts() ? 2 : w.sources.size();
    const auto first = scheme_of(w.sources.front());
    for (std::size_t i = 1; i < std::min(looked_at, w.sources.size()); ++i)
      if (const auto other = scheme_of(w.sources[i]); other != first)
        throw BadInput(q.place(), "",
                       fmt::format("{}{} is {}, {} is {}: matrices that are multiplied with as one need one format",
                                   layer, w.sources.front().tensor, first ? first->format->name : "left as it was",
                                   w.sources[i].tensor, other ? other->format->name : "left as it was"));
    if (!first) continue;
    const WeightFormat& f = *first->format;
    if (const std::int64_t k = w.shape.back();
        f.block_rows == 1 && f.block_columns != WeightFormat::kWholeRow && k % f.block_columns != 0)
      throw BadInput(q.place(), "",
                     fmt::format("{}{} has rows of {}, no multiple of the {} that share a scale in {}", layer,
                                 w.sources.front().tensor, k, f.block_columns, f.name));
    out[w.name] = &f;
  }
  return out;
}

// Gives every matrix its format. Layers of one kind whose lists name them differently become kinds of their own.
void assign_formats(ModelSpec& m, bool of_multimodal) {
  const std::vector<std::string> prefixes = module_prefixes(of_multimodal);
  std::vector<LayerPlan> plans;
  double names = 0;
  for (const LayerKind& kind : m.kinds) {
    plans.push_back(plan_layer(m, kind, {}));
    for (const WeightSpec& w : plans.back().weights)
      names += static_cast<double>(w.sources.size()) * static_cast<double>(m.count_of(kind));
  }
  // A list of 15 000 names in DeepSeek-V3, one by one, comes to 7e8, some ten seconds.
  if (constexpr double kMostTests = 2e9; names * static_cast<double>(m.quantization->patterns() + 1) > kMostTests)
    throw BadInput(m.quantization->place(), "",
                   fmt::format("{:.0f} matrices against lists of {} names: more than {:.0e} tests", names,
                               m.quantization->patterns(), kMostTests));
  split_kinds(m, [&](std::size_t i) {
    return formats_of(m, plans[m.kind_of_layer[i]], prefixes, fmt::format("layers.{}.", i));
  });
  m.head_formats = formats_of(m, plan_head(m, 1, {}), prefixes, "");
  if (m.mtp_layers > 0)
    m.mtp.formats = formats_of(m, plan_layer(m, m.mtp, {}), prefixes, fmt::format("layers.{}.", m.layers));
  // Planned once, so that what cannot be is refused here.
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  bool any = false;
  for (const LayerKind& kind : m.kinds) any |= !plan_layer(m, kind, shape).weights.empty() && !kind.formats.empty();
  if (!any) throw BadInput(m.quantization->place(), "", "no matrix of the layers is quantised by it");
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

// The shipped model of which `wanted` is another training: the same name behind another organisation, or with an ending
// that says how or when it was trained. Null if there is none.
const ShippedModel* base_of(std::string_view wanted, const std::vector<ShippedModel>& models) {
  constexpr std::array<std::string_view, 7> kTrainings = {"instruct", "chat",      "it", "base",
                                                          "thinking", "reasoning", "hf"};
  const auto is_date = [](std::string_view word) {  // "2507"
    return word.size() == 4 && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (const std::size_t slash = wanted.find('/'); slash != std::string_view::npos) wanted.remove_prefix(slash + 1);
  for (;;) {
    for (const ShippedModel& model : models)
      if (wanted == model.name) return &model;
    const std::size_t dash = wanted.rfind('-');
    if (dash == std::string_view::npos) return nullptr;
    const std::string_view last = wanted.substr(dash + 1);
    if (!is_date(last) && std::find(kTrainings.begin(), kTrainings.end(), last) == kTrainings.end()) return nullptr;
    wanted = wanted.substr(0, dash);
  }
}

// "qwen3-4b@twim2": a model that there is, and behind it a mark that there is not.
void refuse_mark(const std::string& wanted, const std::vector<ShippedModel>& models) {
  const std::size_t at = wanted.find('@');
  const std::string name = ascii_lower(wanted.substr(0, at));
  std::error_code ignored;
  const bool is_known = std::any_of(models.begin(), models.end(),
                                    [&](const ShippedModel& m) { return name == m.name || name == ascii_lower(m.id); });
  if (at == std::string::npos || (!is_known && !fs::exists(wanted.substr(0, at), ignored))) return;
  const std::vector<std::string> known = {"twin2", "dense", "unshared", "mha", "tp2", "ep2", "mtp"};
  std::string word = wanted.substr(at + 1);
  word.resize(std::min(word.find('@'), word.size()));
  throw BadInput(fmt::format(
      "no model \"{}\": '@{}' is no change of one{}; known are: @twinQ, @dense, @unshared, @mha, @tpN, @epN, "
      "@mtp, in this order (N from 2)",
      printable(wanted), printable(word), did_you_mean(word, known)));
}

}  // namespace

std::vector<std::string> known_model_types() {
  std::vector<std::string> types;
  for (const Family* family : all_families()) types.emplace_back(family->model_type);
  return types;
}

void ModelSpec::add_layer(std::string kind, std::function<void(LayerBuilder&)> lower,
                          std::shared_ptr<const DecoderBlocks> blocks) {
  const auto it = std::find_if(kinds.begin(), kinds.end(), [&](const LayerKind& k) { return k.name == kind; });
  kind_of_layer.push_back(static_cast<std::size_t>(it - kinds.begin()));
  if (it == kinds.end()) kinds.push_back({std::move(kind), std::move(lower), {}, {}, std::move(blocks)});
}

void split_kinds(ModelSpec& m, const std::function<MatrixFormats(std::size_t layer)>& formats_of_layer) {
  std::vector<LayerKind> kinds;
  std::vector<std::size_t> origin;  // of a kind, among the family's
  std::vector<std::size_t> kind_of_layer;
  for (std::size_t i = 0; i < m.kind_of_layer.size(); ++i) {
    const std::size_t was = m.kind_of_layer[i];
    MatrixFormats formats = formats_of_layer(i);
    std::size_t k = 0;
    while (k < kinds.size() && (origin[k] != was || kinds[k].formats != formats)) ++k;
    if (k == kinds.size()) {
      kinds.push_back(m.kinds[was]);
      kinds.back().formats = std::move(formats);
      origin.push_back(was);
    }
    kind_of_layer.push_back(k);
  }
  // The kind that comes first keeps its name; others say what they have.
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    if (std::find(origin.begin(), origin.begin() + static_cast<std::ptrdiff_t>(k), origin[k]) ==
        origin.begin() + static_cast<std::ptrdiff_t>(k))
      continue;
    std::vector<std::string> said;
    for (const auto& [name, format] : kinds[k].formats) said.push_back(fmt::format("{} {}", name, format->name));
    kinds[k].name += said.empty() ? " unquantised" : fmt::format(" ({})", fmt::join(said, ", "));
  }
  m.kinds = std::move(kinds);
  m.kind_of_layer = std::move(kind_of_layer);
}

ModelSpec with_mtp(const ModelSpec& m) {
  if (m.mtp_layers == 0)
    throw BadInput(fmt::format("--mtp: the config of {} publishes no layers for multi-token prediction", m.name));
  ModelSpec out = m;
  out.name += kMtpSuffix;
  for (std::string& note : out.notes)
    if (const std::size_t at = note.find("; --mtp"); at != std::string::npos)
      note.replace(at, std::string::npos, "; one is measured beside the model");
  out.kinds.push_back(std::move(out.mtp));
  out.mtp_layers = 0, out.mtp = {};
  return out;
}

std::int64_t ModelSpec::count_of(const LayerKind& kind) const {
  const std::string_view own = kind_of_part(kind.name);
  return std::count_if(kind_of_layer.begin(), kind_of_layer.end(), [&](std::size_t k) { return kinds[k].name == own; });
}

LayerPlan plan_layer(const ModelSpec& m, const LayerKind& kind, const StepShape& shape) {
  LayerBuilder b(m, shape, kind.formats);
  kind.lower(b);
  LayerPlan plan = kind.part ? kind.part(std::move(b.plan())) : std::move(b.plan());
  plan.kind = kind.name;
  plan.count = m.count_of(kind);
  return plan;
}

LayerPlan plan_head(const ModelSpec& m, std::int64_t sequences, const StepShape& shape) {
  StepShape s = shape;
  s.batch = sequences;
  s.q_len = 1;
  LayerBuilder b(m, s, m.head_formats);
  b.plan().kind = kHeadPart;
  b.plan().count = 1;
  b.plan().adds_to_input = false;
  const std::string input = b.activation("input", m.hidden, BufferRole::input);
  const std::string norm = b.norm_weight("final_norm", m.hidden, "model.norm.weight");
  if (m.head.kind == HeadSpec::Kind::none) {
    b.rms_norm("final norm", input, norm, b.activation("output", m.hidden, BufferRole::output), m.hidden);
    return std::move(b.plan());
  }
  const bool language = m.head.kind == HeadSpec::Kind::language;
  // Of a score a rank has all of its few rows.
  LayerBuilder::Part part{0, m.head.rows};
  if (language) {  // where the ranks do not divide the words, the last has fewer
    const std::int64_t most = (m.head.rows + m.ranks - 1) / m.ranks;
    part.first = std::min(m.rank * most, m.head.rows), part.count = std::min(most, m.head.rows - part.first);
  }
  const std::int64_t rows = part.count;
  const std::string tensor = language ? "lm_head" : "score", normed = b.activation("normed", m.hidden);
  const std::string logits = b.buffer("output", BufferRole::output, DType::f32, {sequences, rows});
  b.rms_norm("final norm", input, norm, normed, m.hidden);
  b.matrix(tensor, {rows, m.hidden}, {b.rows_of(tensor + ".weight", {m.head.rows, m.hidden}, part)},
           shape.weights.head);
  b.plan().weights.back().quantisable = language && !m.tied_embeddings;
  b.linear(language ? "lm head" : "score", normed, tensor, logits, rows, m.hidden, {.y_type = DType::f32});
  return std::move(b.plan());
}

WeightTypes weights_by_config(const ModelSpec& m, DType rest) {
  return m.quantization ? WeightTypes::of_config(m.quantization->main_format(), rest)
                        : WeightTypes::of(weight_format(rest), rest);
}

ModelSpec read_model(const fs::path& path, const std::string& architecture) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? path / "config.json" : path;
  const JsonNode config = read_json(file, kConfigLimits);
  const auto [text, family, of_multimodal] = language_part(config);
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
  m.quantization = read_quantization(config, text, file);
  if (!m.quantization && says_quantised(m.name))
    m.notes.push_back("the name is one of a quantised model, but nothing here says how: measured as what --dtype says");
  if (of_multimodal) m.notes.push_back("the language part alone; what reads pictures or sound is left out");
  m.head = read_head(config, family, architecture, of_multimodal, m);
  m.tied_embeddings = m.head.kind == HeadSpec::Kind::language && tied(config, text, family.tied_by_default);
  family.read(text, m);
  refuse_unread_layer_keys(text, m.model_type);
  if (m.quantization) {
    assign_formats(m, of_multimodal);
    for (const std::string& note : m.quantization->notes()) m.notes.push_back(note);
  }
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
  if (const auto shared = split_part_name(name_or_path, "@ep")) {
    if (const auto ranks = split_part_name(shared->first, "@tp"))
      return share_layers(find_model(ranks->first, configs_dir, architecture), ranks->second, 0, shared->second);
    return share_experts(find_model(shared->first, configs_dir, architecture), shared->second);
  }
  if (const auto ranks = split_part_name(name_or_path, "@tp"))
    return share_layers(find_model(ranks->first, configs_dir, architecture), ranks->second);
  if (name_or_path.ends_with(kMtpSuffix))
    return with_mtp(
        find_model(name_or_path.substr(0, name_or_path.size() - kMtpSuffix.size()), configs_dir, architecture));
  if (const auto change = split_change(name_or_path))
    return what_if(find_model(change->first, configs_dir, architecture), change->second);
  const std::vector<ShippedModel> models = shipped_models(configs_dir);
  const std::string wanted = ascii_lower(name_or_path);
  for (const ShippedModel& model : models) {
    if (wanted == model.name || wanted == ascii_lower(model.id)) return read_model(model.file, architecture);
  }
  std::error_code ignored;
  if (fs::exists(name_or_path, ignored)) return read_model(name_or_path, architecture);
  if (const ShippedModel* base = base_of(wanted, models)) {
    ModelSpec m = read_model(base->file, architecture);
    m.notes.push_back(
        fmt::format("\"{}\" is taken for {}: layers of the same shapes. Its limits and rotation may be others; give "
                    "its config.json to be exact",
                    printable(name_or_path), base->id));
    return m;
  }
  if (const auto closed = find_closed_model(name_or_path, configs_dir)) {
    std::string prices;
    for (const ListPrice& price : list_list_prices(configs_dir))
      if (price.model == closed->name)
        prices += fmt::format("; {}'s list price per million tokens, in USD: {} ({}, {})", price.provider,
                              price_text(price), price.source, price.retrieved_at);
    throw BadInput(
        fmt::format("{}: {} has published no architecture of it, so nothing can be counted or measured{}; layercost "
                    "list closed",
                    closed->title, closed->maker, prices));
  }
  std::vector<std::string> known, spellings;
  for (const ShippedModel& model : models) known.push_back(model.name);
  spellings = known;
  for (const ShippedModel& model : models) spellings.push_back(model.id);
  refuse_mark(name_or_path, models);
  throw BadInput(fmt::format("no model \"{}\"{}: neither a file nor one of: {}", printable(name_or_path),
                             did_you_mean(name_or_path, spellings), fmt::join(known, ", ")));
}

}  // namespace layercost

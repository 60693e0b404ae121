// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/points.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/cli/commands.h"
#include "harness/plan/expert_parallel.h"
#include "harness/plan/tensor_parallel.h"
#include "harness/plan/what_if.h"
#include "harness/spec/suite_spec.h"
#include "kernels/contract/keys.h"

namespace layercost {

void add_point_options(CLI::App& c, PointOptions& o) {
  c.add_option("-m,--model", o.models,
               "model name (layercost list models), or path to a config.json; may be given several times");
  c.add_option("--architecture", o.architecture,
               "a class of the model's family instead of what its config says, e.g. Qwen3Model (without an LM head)");
  c.add_option("--suite", o.suite,
               "a suite (layercost list suites) or a file; other options below override its values");
  c.add_option("--phase", o.phase, "prefill or decode (default: decode at every batch, prefill at batch 1)");
  c.add_option("-b,--batch", o.batches, "batch sizes, e.g. 1,8,64 (default 1)");
  c.add_option("-c,--context", o.contexts, "decode: tokens already cached; prefill: prompt length (default 1024)");
  c.add_option("--dtype", o.dtype, "bf16 or f32 (default bf16)");
  c.add_option("--kv-type", o.kv_type, "of the key-value cache: f32, bf16 or fp8_e4m3 (default: the dtype)");
  c.add_option("--weights-format", o.weights_format,
               "how matrices are stored: layercost list formats, or several, e.g. bf16,q8_0,q4_k (default: as a "
               "quantised model's config says, else the dtype)");
  c.add_option("--ep", o.ep,
               "devices that share the experts of each mixture; measured is one of them, without the exchange "
               "(default 1)")
      ->check(CLI::Range(1, 4096));
  c.add_option("--tp", o.tp,
               "ranks that share every layer: heads, columns of MLPs and experts, rows of the LM head; measured is one "
               "of them, without the exchange (default 1). With --ep, a multiple of it, experts are whole")
      ->check(CLI::Range(1, 4096));
  c.add_flag(
      "--mtp", o.mtp,
      "also the layer for multi-token prediction, where a config publishes one: beside the model, in no step of it");
  c.add_option("--twin", o.twins,
               "beside each mixture of experts dense models that nobody trained, alike but for an MLP that makes their "
               "active parameters so many times the mixture's, e.g. 1,2,4: from which on is the mixture cheaper?");
  c.add_option("--routing", o.routing, "router, balanced, uniform or zipf:S (default uniform)");
}

void add_checkpoint_options(CLI::App& c, PointOptions& o) {
  c.add_option("--weights", o.weights,
               "the only model's checkpoint: safetensors file(s), an index file, a folder, or a GGUF file (default: "
               "weights are made up)");
  c.add_option("--prefix", o.prefix, "what stands before 'layers.N.' in its tensors' names (default: found there)");
}

const WeightFormat& weight_format_option(const std::string& name) {
  try {
    return weight_format(name);
  } catch (const BadCase& e) {
    throw BadInput(std::string("--weights-format: ") + e.what());
  }
}

std::vector<const WeightFormat*> weight_format_options(const std::string& names) {
  std::vector<const WeightFormat*> out;
  for (const std::string& name : split_list(names)) {
    const WeightFormat* format = &weight_format_option(name);
    if (std::find(out.begin(), out.end(), format) != out.end())
      throw BadInput(fmt::format("--weights-format: {} is named twice", format->name));
    out.push_back(format);
  }
  return out;
}

namespace {

DType kv_type_option(const std::string& name, DType otherwise) {
  if (name.empty()) return otherwise;
  std::vector<std::string> known;
  for (const DType t : kCacheTypes) {
    known.emplace_back(to_string(t));
    if (known.back() == name) return t;
  }
  throw BadInput(fmt::format("--kv-type: expected {}, got '{}'{}", fmt::join(known, ", "), printable(name),
                             did_you_mean(name, known)));
}

// What cannot be planned is said here, by its option.
void expect_cache_type(const ModelSpec& m, const Scenario& s) {
  try {
    for (const LayerKind& kind : m.kinds) plan_layer(m, kind, step_shape(s, m.experts.has_value()));
  } catch (const BadCase& e) {
    throw BadInput(fmt::format("--kv-type: {}: {}", m.name, e.what()));
  }
}

// --mtp, --tp and --ep.
void share_out(std::vector<ModelSpec>& models, const PointOptions& o) {
  if (o.mtp) {
    bool any = false;
    for (ModelSpec& model : models)
      if (model.mtp_layers > 0) model = with_mtp(model), any = true;
    if (!any) throw BadInput("--mtp: no model of this run publishes layers for multi-token prediction");
    if (!o.weights.empty())
      throw BadInput("--mtp: of a checkpoint's weights (--weights) a model is measured without them");
  }
  if (o.ep == 1 && o.tp == 1) return;
  for (ModelSpec& model : models) {
    const std::int64_t devices = model.experts ? o.ep : 1;
    if (o.tp > 1) model = share_layers(model, o.tp, 0, devices);
    else if (devices > 1) model = share_experts(model, devices);
  }
  if (o.ep > 1 && std::none_of(models.begin(), models.end(), [](const ModelSpec& m) { return m.experts.has_value(); }))
    throw BadInput("--ep: no model of this run has experts to share");
}

struct Twin {
  std::size_t dense = 0, moe = 0;  // among the models
};

// --twin: each mixture's behind all models.
std::vector<Twin> add_twins(std::vector<ModelSpec>& models, const std::string& sizes) {
  std::vector<Twin> twins;
  if (sizes.empty()) return twins;
  std::vector<std::string> changes;
  for (const std::string& size : split_list(sizes)) {
    std::string change = twin_change(size);
    if (std::find(changes.begin(), changes.end(), change) == changes.end()) changes.push_back(std::move(change));
  }
  const std::size_t given = models.size();
  for (std::size_t m = 0; m < given; ++m) {
    if (!models[m].experts) continue;
    for (const std::string& change : changes) {
      ModelSpec twin = what_if(models[m], change);
      auto at = std::find_if(models.begin(), models.end(), [&](const ModelSpec& o) { return o.name == twin.name; });
      if (at == models.end()) at = models.insert(at, std::move(twin));
      twins.push_back({static_cast<std::size_t>(at - models.begin()), m});
    }
  }
  if (twins.empty())
    throw BadInput(fmt::format("--twin: {} has experts; expected a mixture of experts among the models (-m)",
                               models.size() == 1 ? "no layer of " + models[0].name : "no model of this run"));
  return twins;
}

std::vector<ModelSpec> models_of(const std::vector<std::string>& names, const PointOptions& o, const Suite& suite,
                                 const std::filesystem::path& configs, std::vector<Twin>& twins) {
  if (names.empty()) throw BadInput("nothing to do: name a model (-m qwen3-4b) or a suite (--suite quick)");
  std::vector<ModelSpec> models;
  const auto add = [&](ModelSpec model) {
    for (const ModelSpec& other : models)
      if (other.name == model.name && other.path != model.path)
        throw BadInput(fmt::format("-m: {} and {} are both called '{}'", other.path, model.path, model.name));
    if (std::none_of(models.begin(), models.end(), [&](const ModelSpec& m) { return m.name == model.name; }))
      models.push_back(std::move(model));
  };
  for (const std::string& name : names) {
    ModelSpec model = find_model(name, configs, o.architecture);
    if (!suite.ladder) add(std::move(model));
    else
      for (ModelSpec& step : ladder(model)) add(std::move(step));
  }
  twins = add_twins(models, o.twins);
  share_out(models, o);
  return models;
}

bool shares_experts(const std::vector<ModelSpec>& models) {
  return std::any_of(models.begin(), models.end(), [](const ModelSpec& m) { return m.devices > 1; });
}

// Null without --weights. The model's kinds of layer become those of the checkpoint.
std::shared_ptr<StoredModel> checkpoint_of(std::vector<ModelSpec>& models, const PointOptions& o, const Suite& suite) {
  if (o.weights.empty()) {
    if (o.prefix) throw BadInput("--prefix: is of a checkpoint's names; expected --weights with it");
    return nullptr;
  }
  for (const ModelSpec& m : models)
    if (m.whole != nullptr)
      throw BadInput(fmt::format("--{}: of a checkpoint's weights (--weights) a model is measured whole",
                                 m.ranks > 1 ? "tp" : "ep"));
  for (const ModelSpec& m : models)
    if (!m.trained) throw BadInput(fmt::format("--weights: nobody trained {}, and no checkpoint has it", m.name));
  if (models.size() != 1) throw BadInput(fmt::format("--weights: expected one model (-m), got {}", models.size()));
  if (!o.weights_format.empty()) throw BadInput("--weights-format: the checkpoint that --weights names has its own");
  if (!suite.formats.empty() || suite.ladder)
    throw BadInput(fmt::format("--weights: suite '{}' names formats, and a checkpoint has its own", suite.name));
  return std::make_shared<StoredModel>(
      models[0], std::vector<std::filesystem::path>(o.weights.begin(), o.weights.end()), o.prefix);
}

std::optional<Phase> phase_option(const std::string& name) {
  if (name == "prefill") return Phase::prefill;
  if (name == "decode") return Phase::decode;
  if (!name.empty()) throw BadInput("--phase: expected prefill or decode, got '" + printable(name) + "'");
  return std::nullopt;
}

DType dtype_of_run(const PointOptions& o, const Suite& suite) {
  const std::string dtype = !o.dtype.empty() ? o.dtype : !suite.dtype.empty() ? suite.dtype : "bf16";
  if (dtype != "bf16" && dtype != "f32")
    throw BadInput("--dtype: expected bf16 or f32, got '" + printable(dtype) + "'");
  return dtype_from(dtype);
}

// Null: as the model's config says. On a ladder only the model itself, at its end, has others than the plain one.
std::vector<const WeightFormat*> formats_of(const PointOptions& o, const Suite& suite, const ModelSpec& m, DType type) {
  std::vector<const WeightFormat*> formats;
  if (!o.weights_format.empty()) formats = weight_format_options(o.weights_format);
  if (suite.ladder) {
    if (formats.empty()) formats = {&weight_format(suite.ladder->format)};
    if (!m.trained) formats.clear();
    if (std::find(formats.begin(), formats.end(), &weight_format(type)) == formats.end())
      formats.insert(formats.begin(), &weight_format(type));
  }
  if (!formats.empty()) return formats;
  for (const std::string& name : suite.formats) formats.push_back(&weight_format(name));
  if (formats.empty()) formats.push_back(nullptr);
  return formats;
}

RoutingSpec routing_of(const PointOptions& o, const Suite& suite, bool shared) {
  const RoutingSpec routing = RoutingSpec::parse(!o.routing.empty()       ? o.routing
                                                 : !suite.routing.empty() ? suite.routing
                                                                          : "uniform");
  if (shared && routing.kind != RoutingSpec::Kind::uniform && routing.kind != RoutingSpec::Kind::balanced)
    throw BadInput(
        fmt::format("--ep: what other devices send has no router here and no favourites; expected --routing "
                    "uniform or balanced, got {}",
                    routing.name()));
  return routing;
}

struct Step {
  Phase phase;
  std::int64_t batch, context;
};
std::vector<Step> steps_of(const PointOptions& o, const Suite& suite, std::optional<Phase> only) {
  constexpr std::int64_t kMaxBatch = 1 << 16, kMaxContext = std::int64_t{1} << 24;
  using List = std::vector<std::int64_t>;
  const bool from_suite = !o.suite.empty();
  const auto list = [](const char* option, const std::string& text, List otherwise, std::int64_t high) {
    return text.empty() ? otherwise : parse_list(option, text, high);
  };
  std::vector<Step> steps;
  if (only != Phase::prefill)
    for (std::int64_t c : list("-c", o.contexts, from_suite ? suite.decode.contexts : List{1024}, kMaxContext))
      for (std::int64_t b : list("-b", o.batches, from_suite ? suite.decode.batches : List{1}, kMaxBatch))
        steps.push_back({Phase::decode, b, c});
  const std::int64_t prompts = from_suite ? suite.prefill.batch : 1;
  if (only != Phase::decode)
    for (std::int64_t c : list("-c", o.contexts, from_suite ? suite.prefill.tokens : List{1024}, kMaxContext))
      for (std::int64_t b : only == Phase::prefill ? list("-b", o.batches, {prompts}, kMaxBatch) : List{prompts})
        steps.push_back({Phase::prefill, b, c});
  if (steps.empty()) throw BadInput("nothing to do: the suite has no points of that phase");
  return steps;
}

// A decode step's own token takes the position after the cached ones.
void expect_positions(const ModelSpec& m, const Step& step) {
  const std::int64_t most = m.max_position, positions = step.context + (step.phase == Phase::decode);
  if (most > 0 && positions > most)
    throw BadInput(fmt::format(
        "-c {}: {} has max_position_embeddings {}{}", step.context, m.name, most,
        step.phase == Phase::decode ? fmt::format("; decode takes {} of them, one for the new token", positions) : ""));
}

// A twin of --twin is held against its own mixture alone.
std::vector<PairRecord> pairs_of(const std::vector<ModelSpec>& models, const std::vector<Twin>& twins,
                                 const Suite* suite, const std::filesystem::path& configs) {
  std::vector<PairRecord> pairs;
  const auto is_twin = [&](const ModelSpec& m) {
    return std::any_of(twins.begin(), twins.end(), [&](const Twin& t) { return &models[t.dense] == &m; });
  };
  if (suite == nullptr) {
    for (const ModelSpec& dense : models)
      for (const ModelSpec& moe : models)
        if (!dense.experts && moe.experts && !is_twin(dense)) pairs.push_back({dense.name, moe.name});
  } else {
    for (const SuitePair& pair : suite->pairs) {
      const std::string dense = find_model(pair.dense, configs).name, moe = find_model(pair.moe, configs).name;
      const bool has = std::any_of(models.begin(), models.end(), [&](const ModelSpec& m) { return m.name == dense; });
      for (const ModelSpec& m : models)
        if (has && (m.name == moe || (m.whole && m.whole->name == moe))) pairs.push_back({dense, m.name});
    }
  }
  for (const Twin& twin : twins) pairs.push_back({models[twin.dense].name, models[twin.moe].name});
  return pairs;
}

}  // namespace

Points make_points(const PointOptions& o, const std::filesystem::path& configs) {
  Points out;
  Suite suite;
  const bool from_suite = !o.suite.empty();
  if (from_suite) {
    suite = find_suite(o.suite, configs);
    out.suite = suite.name;
  }
  std::vector<Twin> twins;
  if (suite.ladder) suite.models = {suite.ladder->model};
  out.models = models_of(o.models.empty() ? suite.models : o.models, o, suite, configs, twins);
  out.stored = checkpoint_of(out.models, o, suite);
  const std::optional<Phase> only = phase_option(o.phase);
  const DType type = dtype_of_run(o, suite);
  const DType kv_type = kv_type_option(o.kv_type, type);
  const RoutingSpec routing = routing_of(o, suite, shares_experts(out.models));
  const std::vector<Step> steps = steps_of(o, suite, only);

  for (std::size_t m = 0; m < out.models.size(); ++m) {
    const std::vector<const WeightFormat*> formats = formats_of(o, suite, out.models[m], type);
    for (std::size_t i = 0; i < steps.size() * formats.size(); ++i) {
      const Step& step = steps[i / formats.size()];
      const WeightFormat* format = formats[i % formats.size()];
      expect_positions(out.models[m], step);
      RunPoint p;
      p.model = m;
      p.scenario.phase = step.phase;
      p.scenario.batch = step.batch;
      p.scenario.context = step.context;
      p.scenario.weights = out.stored          ? out.stored->weights(type)
                           : format != nullptr ? WeightTypes::of(*format, type)
                                               : weights_by_config(out.models[m], type);
      p.scenario.activation_type = type;
      p.scenario.kv_type = kv_type;
      p.scenario.routing = routing;
      if (kv_type != type) expect_cache_type(out.models[m], p.scenario);
      out.points.push_back(p);
    }
  }
  out.pairs = pairs_of(out.models, twins, from_suite ? &suite : nullptr, configs);
  return out;
}

}  // namespace layercost

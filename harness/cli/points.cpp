// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/points.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/cli/commands.h"
#include "harness/plan/expert_parallel.h"
#include "harness/plan/tensor_parallel.h"
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
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    const WeightFormat* format = &weight_format_option(names.substr(begin, end - begin));
    if (std::find(out.begin(), out.end(), format) != out.end())
      throw BadInput(fmt::format("--weights-format: {} is named twice", format->name));
    out.push_back(format);
    begin = end + 1;
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

}  // namespace

Points make_points(const PointOptions& o, const std::filesystem::path& configs) {
  constexpr std::int64_t kMaxBatch = 1 << 16, kMaxContext = std::int64_t{1} << 24;
  Points out;
  Suite suite;
  std::vector<std::string> names = o.models;
  if (!o.suite.empty()) {
    suite = find_suite(o.suite, configs);
    out.suite = suite.name;
    if (names.empty()) names = suite.models;
  }
  if (names.empty()) throw BadInput("nothing to do: name a model (-m qwen3-4b) or a suite (--suite quick)");
  for (const std::string& name : names) {
    ModelSpec model = find_model(name, configs, o.architecture);
    for (const ModelSpec& other : out.models)
      if (other.name == model.name && other.path != model.path)
        throw BadInput(fmt::format("-m: {} and {} are both called '{}'", other.path, model.path, model.name));
    if (std::none_of(out.models.begin(), out.models.end(), [&](const ModelSpec& m) { return m.name == model.name; }))
      out.models.push_back(std::move(model));
  }

  if (o.mtp) {
    bool any = false;
    for (ModelSpec& model : out.models)
      if (model.mtp_layers > 0) model = with_mtp(model), any = true;
    if (!any) throw BadInput("--mtp: no model of this run publishes layers for multi-token prediction");
    if (!o.weights.empty())
      throw BadInput("--mtp: of a checkpoint's weights (--weights) a model is measured without them");
  }
  if (o.ep > 1 || o.tp > 1)
    for (ModelSpec& model : out.models) {
      const std::int64_t devices = model.experts ? o.ep : 1;
      if (o.tp > 1) model = share_layers(model, o.tp, 0, devices);
      else if (devices > 1) model = share_experts(model, devices);
    }
  if (o.ep > 1) {
    if (std::none_of(out.models.begin(), out.models.end(), [](const ModelSpec& m) { return m.experts.has_value(); }))
      throw BadInput("--ep: no model of this run has experts to share");
  }
  const bool shared =
      std::any_of(out.models.begin(), out.models.end(), [](const ModelSpec& m) { return m.devices > 1; });
  for (const ModelSpec& m : out.models)
    if (m.whole != nullptr && !o.weights.empty())
      throw BadInput(fmt::format("--{}: of a checkpoint's weights (--weights) a model is measured whole",
                                 m.ranks > 1 ? "tp" : "ep"));

  if (!o.weights.empty()) {
    if (out.models.size() != 1)
      throw BadInput(fmt::format("--weights: expected one model (-m), got {}", out.models.size()));
    if (!o.weights_format.empty()) throw BadInput("--weights-format: the checkpoint that --weights names has its own");
    if (!suite.formats.empty())
      throw BadInput(fmt::format("--weights: suite '{}' names formats, and a checkpoint has its own", suite.name));
    out.stored = std::make_shared<StoredModel>(
        out.models[0], std::vector<std::filesystem::path>(o.weights.begin(), o.weights.end()), o.prefix);
  } else if (o.prefix) {
    throw BadInput("--prefix: is of a checkpoint's names; expected --weights with it");
  }

  std::optional<Phase> only;
  if (o.phase == "prefill") only = Phase::prefill;
  else if (o.phase == "decode") only = Phase::decode;
  else if (!o.phase.empty()) throw BadInput("--phase: expected prefill or decode, got '" + printable(o.phase) + "'");

  const std::string dtype = !o.dtype.empty() ? o.dtype : !suite.dtype.empty() ? suite.dtype : "bf16";
  if (dtype != "bf16" && dtype != "f32")
    throw BadInput("--dtype: expected bf16 or f32, got '" + printable(dtype) + "'");
  const DType type = dtype_from(dtype);
  const DType kv_type = kv_type_option(o.kv_type, type);
  std::vector<const WeightFormat*> formats;
  if (!o.weights_format.empty()) formats = weight_format_options(o.weights_format);
  for (const std::string& name : suite.formats)
    if (o.weights_format.empty()) formats.push_back(&weight_format(name));
  if (formats.empty()) formats.push_back(nullptr);  // as the model's config says
  const RoutingSpec routing = RoutingSpec::parse(!o.routing.empty()       ? o.routing
                                                 : !suite.routing.empty() ? suite.routing
                                                                          : "uniform");
  if (shared && routing.kind != RoutingSpec::Kind::uniform && routing.kind != RoutingSpec::Kind::balanced)
    throw BadInput(
        fmt::format("--ep: what other devices send has no router here and no favourites; expected --routing "
                    "uniform or balanced, got {}",
                    routing.name()));

  struct Step {
    Phase phase;
    std::int64_t batch, context;
  };
  std::vector<Step> steps;
  const bool from_suite = !o.suite.empty();
  const auto list = [&](const char* option, const std::string& text, std::vector<std::int64_t> otherwise,
                        std::int64_t high) { return text.empty() ? otherwise : parse_list(option, text, high); };
  if (only != Phase::prefill)
    for (std::int64_t c :
         list("-c", o.contexts, from_suite ? suite.decode.contexts : std::vector<std::int64_t>{1024}, kMaxContext))
      for (std::int64_t b :
           list("-b", o.batches, from_suite ? suite.decode.batches : std::vector<std::int64_t>{1}, kMaxBatch))
        steps.push_back({Phase::decode, b, c});
  if (only != Phase::decode)
    for (std::int64_t c :
         list("-c", o.contexts, from_suite ? suite.prefill.tokens : std::vector<std::int64_t>{1024}, kMaxContext))
      for (std::int64_t b : only == Phase::prefill
                                ? list("-b", o.batches, {from_suite ? suite.prefill.batch : 1}, kMaxBatch)
                                : std::vector<std::int64_t>{from_suite ? suite.prefill.batch : 1})
        steps.push_back({Phase::prefill, b, c});
  if (steps.empty()) throw BadInput("nothing to do: the suite has no points of that phase");

  for (std::size_t m = 0; m < out.models.size(); ++m)
    for (std::size_t i = 0; i < steps.size() * formats.size(); ++i) {
      const Step& step = steps[i / formats.size()];
      const WeightFormat* format = formats[i % formats.size()];
      // A decode step's own token takes the position after the cached ones.
      const std::int64_t most = out.models[m].max_position, positions = step.context + (step.phase == Phase::decode);
      if (most > 0 && positions > most)
        throw BadInput(fmt::format("-c {}: {} has max_position_embeddings {}{}", step.context, out.models[m].name, most,
                                   step.phase == Phase::decode
                                       ? fmt::format("; decode takes {} of them, one for the new token", positions)
                                       : ""));
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

  const auto has = [&](const std::string& name) {
    return std::any_of(out.models.begin(), out.models.end(), [&](const ModelSpec& m) { return m.name == name; });
  };
  if (from_suite) {
    for (const SuitePair& pair : suite.pairs) {
      const std::string dense = find_model(pair.dense, configs).name, moe = find_model(pair.moe, configs).name;
      for (const ModelSpec& m : out.models)
        if (has(dense) && (m.name == moe || (m.whole && m.whole->name == moe))) out.pairs.push_back({dense, m.name});
    }
  } else {
    for (const ModelSpec& dense : out.models)
      for (const ModelSpec& moe : out.models)
        if (!dense.experts && moe.experts) out.pairs.push_back({dense.name, moe.name});
  }
  return out;
}

}  // namespace layercost

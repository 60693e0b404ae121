// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/stored_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "kernels/core/error.h"

namespace layercost {

namespace {
// Of most checkpoints, of bare models, and of models that read pictures too.
constexpr const char* kUsualPrefixes[] = {"model.", "", "model.language_model."};
}  // namespace

std::string find_prefix(const Checkpoint& reader, const LayerPlan& plan, std::int64_t layer) {
  if (reader.is_gguf()) return "model.";  // whose names have none
  const std::string& checkpoint = reader.source();
  // A norm: matrices that are quantised go by other names.
  const std::string tail = fmt::format("layers.{}.{}", layer, plan.weights.front().sources.front().tensor);
  std::vector<std::string> found;
  const std::vector<std::string> names = reader.names();
  for (const std::string& name : names) {
    if (!name.ends_with(tail)) continue;
    const std::string before = name.substr(0, name.size() - tail.size());
    if (before.empty() || before.ends_with('.')) found.push_back(before);
  }
  for (const char* usual : kUsualPrefixes)
    if (std::find(found.begin(), found.end(), usual) != found.end()) return usual;
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    const std::string near = nearest_spelling("model." + tail, names);
    throw BadInput(checkpoint, "",
                   fmt::format("has no tensor '{}', with or without something before it{}", tail,
                               near.empty() ? "" : fmt::format("; the nearest name is '{}'", printable(near))));
  }
  std::vector<std::string> shown;
  for (const std::string& prefix : found) shown.push_back("'" + printable(prefix) + "'");
  throw BadInput(
      checkpoint, "",
      fmt::format("has several tensors '...{}', behind {}; say which with --prefix", tail, fmt::join(shown, ", ")));
}

MatrixFormats stored_formats(const Checkpoint& checkpoint, const LayerPlan& plan, const std::string& place) {
  MatrixFormats out;
  for (const WeightSpec& w : plan.weights) {
    if (!w.quantisable) continue;
    const std::string& first_tensor = w.sources.front().tensor;
    const WeightFormat* const first = checkpoint.stored_format(place + first_tensor);
    MatrixFormats of_sources;
    bool differ = false;
    for (const WeightSpec::Source& s : w.sources) {
      const WeightFormat* f = checkpoint.stored_format(place + s.tensor);
      if (f != first && !w.separable)
        throw BadInput(
            checkpoint.source(), place + s.tensor,
            fmt::format("is {}, {} is {}: matrices that are multiplied with as one need one format",
                        f != nullptr ? f->name : "plain", first_tensor, first != nullptr ? first->name : "plain"));
      differ |= f != first;
      if (f != nullptr) of_sources[s.tensor] = f;
    }
    if (differ) out.merge(of_sources);
    else if (first != nullptr) out[w.name] = first;
  }
  return out;
}

void refuse_unused_tensors(const Checkpoint& checkpoint, const LayerPlan& plan, const std::string& place) {
  std::vector<std::string> sources;
  for (const WeightSpec& weight : plan.weights)
    for (const WeightSpec::Source& source : weight.sources) sources.push_back(source.tensor);
  sources.insert(sources.end(), plan.ignored_tensors.begin(), plan.ignored_tensors.end());
  const std::vector<std::string> unused = checkpoint.unused(place, sources);
  if (unused.empty()) return;
  const std::size_t shown = std::min<std::size_t>(unused.size(), 4);
  throw BadInput(checkpoint.source(), "",
                 fmt::format("has tensors of this layer that its model does not use, so that another layer would be "
                             "checked: {}{}",
                             fmt::join(unused.begin(), unused.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                             shown < unused.size() ? fmt::format(" and {} more", unused.size() - shown) : ""));
}

namespace {

std::string shown_name(const std::filesystem::path& path) {
  const std::filesystem::path whole = std::filesystem::absolute(path).lexically_normal();
  return printable((whole.has_filename() ? whole : whole.parent_path()).filename().string());
}

std::string layer_place(const std::string& prefix, std::int64_t layer) {
  return fmt::format("{}layers.{}.", prefix, layer);
}

}  // namespace

StoredModel::StoredModel(ModelSpec& m, const std::vector<std::filesystem::path>& paths,
                         const std::optional<std::string>& prefix)
    : checkpoint_(paths, m.quantization),
      name_(shown_name(paths.front())),
      tied_(m.tied_embeddings),
      quantization_(m.quantization) {
  if (prefix && checkpoint_.is_gguf())
    throw BadInput("--prefix: a GGUF file's names have none; expected no such option");
  std::vector<LayerPlan> plans;
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  for (const LayerKind& kind : m.kinds) plans.push_back(plan_layer(m, kind, shape));
  const auto plan_of = [&](std::int64_t i) -> const LayerPlan& {
    return plans[m.kind_of_layer[static_cast<std::size_t>(i)]];
  };
  // By each layer's first tensor, a norm: matrices that are quantised go by other names.
  const auto first_tensor = [&](std::int64_t i) {
    return layer_place(prefix_, i) + plan_of(i).weights.front().sources.front().tensor;
  };
  std::vector<std::int64_t> there;
  const auto look = [&] {
    for (std::int64_t i = 0; i < m.layers; ++i)
      if (checkpoint_.has(first_tensor(i))) there.push_back(i);
  };
  for (const char* usual : kUsualPrefixes) {
    prefix_ = prefix.value_or(usual);
    look();
    if (!there.empty() || prefix) break;
  }
  if (there.empty() && !prefix) {
    prefix_ = find_prefix(checkpoint_, plan_of(0), 0);
    look();
  }
  if (there.empty())
    throw BadInput(checkpoint_.source(), "", fmt::format("has no layer of {}, such as '{}'", m.name, first_tensor(0)));

  if (checkpoint_.is_gguf()) {
    std::map<const WeightFormat*, double> elements;
    std::map<std::int64_t, MatrixFormats> formats;
    for (const std::int64_t i : there) {
      formats[i] = stored_formats(checkpoint_, plan_of(i), layer_place(prefix_, i));
      for (const WeightSpec& w : plan_of(i).weights)
        for (const WeightSpec::Source& s : w.sources)
          for (const std::string& name : {w.name, s.tensor})
            if (const auto f = formats[i].find(name); f != formats[i].end())
              elements[f->second] += static_cast<double>(s.elements());
    }
    // A layer that is not there is taken to be as the one before it.
    split_kinds(m, [&](std::size_t i) {
      const auto after = formats.upper_bound(static_cast<std::int64_t>(i));
      const auto like = after == formats.begin() ? after : std::prev(after);
      return plan_of(like->first).kind == plan_of(static_cast<std::int64_t>(i)).kind ? like->second : MatrixFormats{};
    });
    const LayerPlan head = plan_head(m, 1, shape);
    for (const WeightSpec& w : head.weights)
      if (const std::string tensor = head_tensor(w.sources.front().tensor); w.shape.size() > 1)
        if (const WeightFormat* f = checkpoint_.has(tensor) ? checkpoint_.stored_format(tensor) : nullptr)
          m.head_formats[w.name] = f;
    for (const auto& [format, n] : elements)
      if (main_format_ == nullptr || n > elements[main_format_]) main_format_ = format;
  }
  layers_.resize(m.kinds.size());
  for (const std::int64_t i : there) layers_[m.kind_of_layer[static_cast<std::size_t>(i)]].push_back(i);
  m.notes.push_back(there.size() == static_cast<std::size_t>(m.layers)
                        ? fmt::format("weights are those of {}", name_)
                        : fmt::format("weights are those of {}, which has {} of {} layers; stacks of more read them "
                                      "round and round",
                                      name_, there.size(), m.layers));
  for (std::size_t k = 0; k < m.kinds.size(); ++k)
    if (layers_[k].empty())
      throw BadInput(checkpoint_.source(), "",
                     fmt::format("has no layer of the kind '{}' of {}", m.kinds[k].name, m.name));
}

WeightTypes StoredModel::weights(DType rest) const {
  if (quantization_) return WeightTypes::of_config(quantization_->main_format(), rest);
  return main_format_ != nullptr ? WeightTypes::of_config(*main_format_, rest)
                                 : WeightTypes::of(weight_format(rest), rest);
}

// Of "model.norm.weight" and "lm_head.weight": what stands before "model." of the layers stands before these, too.
std::string StoredModel::head_tensor(const std::string& tensor) const {
  if (tensor == "model.norm.weight") return prefix_ + "norm.weight";
  std::string root = prefix_;
  for (const std::string_view end : {"model.language_model.", "model."})
    if (root.ends_with(end)) {
      root.resize(root.size() - end.size());
      break;
    }
  return tied_ && !checkpoint_.has(root + tensor) ? prefix_ + "embed_tokens.weight" : root + tensor;
}

WeightSet StoredModel::read(const LayerPlan& plan, std::size_t kind, std::int64_t n) {
  if (kind == layers_.size()) {
    if (const std::string norm = head_tensor("model.norm.weight"); !checkpoint_.has(norm))
      throw BadInput(checkpoint_.source(), norm, "no such tensor; with --no-head the layers alone are measured");
    return checkpoint_weights(
        plan, checkpoint_, [&](const std::string& tensor) { return head_tensor(tensor); }, 0);
  }
  const std::vector<std::int64_t>& layers = layers_[kind];
  const std::int64_t layer = layers[static_cast<std::size_t>(n) % layers.size()];
  const std::string place = layer_place(prefix_, layer);
  WeightSet out = checkpoint_weights(
      plan, checkpoint_, [&](const std::string& tensor) { return place + tensor; }, layer);
  refuse_unused_tensors(checkpoint_, plan, place);  // after: one that is missing says more
  return out;
}

}  // namespace layercost

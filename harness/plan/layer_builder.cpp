// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/layer_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/core/error.h"

namespace layercost {

const MatrixFormats LayerBuilder::kNone;

LayerBuilder::Part LayerBuilder::part_of(std::int64_t n, const std::string& what) const {
  if (n % m_.ranks != 0) throw BadCase(fmt::format("{} ranks do not divide the {} {}", m_.ranks, n, what));
  return {n / m_.ranks * m_.rank, n / m_.ranks};
}

WeightSpec::Source LayerBuilder::rows_of(std::string tensor, Shape shape, const Part& part) {
  const bool all = part.count == shape[0];
  WeightSpec::Source s{std::move(tensor), std::move(shape)};
  if (!all) s.first_row = part.first, s.rows = part.count;
  return s;
}

WeightSpec::Source LayerBuilder::columns_of(std::string tensor, Shape shape, const Part& part) {
  const bool all = part.count == shape[1];
  WeightSpec::Source s{std::move(tensor), std::move(shape)};
  if (!all) s.first_column = part.first, s.columns = part.count;
  return s;
}

std::string LayerBuilder::buffer(const std::string& name, BufferRole role, DType t, Shape shape) {
  for (const BufferSpec& b : plan_.buffers)
    if (b.name == name) throw BadCase("a layer's plan has two buffers '" + name + "'");
  plan_.buffers.push_back({name, t, std::move(shape), role});
  return name;
}

std::string LayerBuilder::activation(const std::string& name, std::int64_t width, BufferRole role) {
  return buffer(name, role, s_.activation_type, {tokens(), width});
}

const WeightFormat* LayerBuilder::format_in(const std::string& name, const WeightFormat* otherwise) const {
  const auto given = formats_.find(name);
  return given != formats_.end() ? given->second : otherwise;
}

std::string LayerBuilder::matrix(const std::string& name, Shape shape, Sources sources, std::optional<DType> type) {
  const WeightFormat* format = type ? &weight_format(*type) : s_.weights.matrices;
  if (s_.weights.by_config) format = format_in(name, type ? format : &weight_format(s_.weights.vectors));
  add_matrix(name, format, std::move(shape), std::move(sources));
  plan_.weights.back().quantisable = !type;
  return name;
}

void LayerBuilder::add_matrix(const std::string& name, const WeightFormat* format, Shape shape, Sources sources) {
  const float sigma = 1.0f / std::sqrt(static_cast<float>(shape.back()));
  plan_.weights.push_back({name, format, std::move(shape), 0.0f, sigma, std::move(sources)});
}

const WeightFormat& LayerBuilder::format_of(const std::string& matrix) const {
  for (const WeightSpec& w : plan_.weights)
    if (w.name == matrix) return *w.format;
  throw BadCase("no matrix '" + matrix + "' was made");
}

std::string LayerBuilder::expert_matrices(const std::string& name, Shape shape, Sources sources) {
  matrix(name, std::move(shape), std::move(sources));
  plan_.weights.back().per_expert = true;
  return name;
}

std::string LayerBuilder::norm_weight(const std::string& name, std::int64_t n, const std::string& tensor) {
  const DType type = m_.norms_from_one ? DType::f32 : s_.weights.vectors;
  plan_.weights.push_back({name, &weight_format(type), {n}, 1.0f, 0.2f, {{tensor, {n}}}});
  if (m_.norms_from_one) {
    plan_.weights.back().added = 1;
    plan_.weights.back().stored = &weight_format(s_.weights.vectors);
  }
  return name;
}

std::string LayerBuilder::scaled_norm_weight(const std::string& name, std::int64_t n, const std::string& tensor,
                                             float times) {
  plan_.weights.push_back({name, &weight_format(DType::f32), {n}, times, 0.2f * times, {{tensor, {n}}}});
  plan_.weights.back().times = times;
  plan_.weights.back().stored = &weight_format(s_.weights.vectors);
  return name;
}

std::string LayerBuilder::bias(const std::string& name, Sources sources) {
  std::int64_t n = 0;
  for (const auto& s : sources) n += s.elements();
  plan_.weights.push_back({name, &weight_format(s_.weights.vectors), {n}, 0.0f, 0.1f, std::move(sources)});
  return name;
}

std::string LayerBuilder::expert_biases(const std::string& name, Shape shape, Sources sources) {
  plan_.weights.push_back({name, &weight_format(s_.weights.vectors), std::move(shape), 0.0f, 0.1f, std::move(sources)});
  plan_.weights.back().per_expert = true;
  return name;
}

std::string LayerBuilder::f32_vector(const std::string& name, std::int64_t n, const std::string& tensor,
                                     bool stored_as_row) {
  const Shape stored = stored_as_row ? Shape{1, n} : Shape{n};
  plan_.weights.push_back({name, &weight_format(DType::f32), {n}, 0.0f, 0.1f, {{tensor, stored}}});
  return name;
}

std::string LayerBuilder::rule_vector(const std::string& name, std::int64_t n,
                                      std::function<float(std::int64_t, std::int64_t)> rule) {
  plan_.weights.push_back({name, &weight_format(DType::f32), {n}, 0.0f, 1.0f, {}});
  plan_.weights.back().rule = std::move(rule);
  return name;
}

LayerBuilder::StateNames LayerBuilder::state(const std::string& name, DType type, Shape of_a_sequence) {
  Shape shape = {s_.batch};
  shape.insert(shape.end(), of_a_sequence.begin(), of_a_sequence.end());
  StateNames names;
  if (continues()) names.before = buffer(name, BufferRole::state, type, shape);
  names.after = buffer(after_step(name), BufferRole::next_state, type, shape);
  return names;
}

void LayerBuilder::op(std::string component, OpCase c, std::map<std::string, std::string> bind) {
  plan_.ops.push_back({std::move(component), std::move(c), std::move(bind)});
}

void LayerBuilder::types(OpCase& c) const {
  c.set("x_type", s_.activation_type).set("w_type", s_.weights.vectors).set("y_type", s_.activation_type);
}

void LayerBuilder::rms_norm(const std::string& component, const std::string& x, const std::string& w,
                            const std::string& y, std::int64_t width, const std::string& residual,
                            const std::string& sum, std::optional<double> eps, const std::string& addend,
                            const std::string& scale) {
  OpCase c("rms_norm");
  c.set("tokens", tokens()).set("hidden", width).set("eps", eps.value_or(m_.rms_norm_eps));
  types(c);
  c.set("w_type", format_of(w).name);
  std::map<std::string, std::string> bind = {{"x", x}, {"w", w}, {"y", y}};
  if (!residual.empty()) {
    c.set("residual", 1);
    bind["residual"] = residual;
    bind["sum"] = sum;
  }
  if (!addend.empty()) {
    c.set("added", 1);
    bind["addend"] = addend;
  }
  if (!scale.empty()) {
    c.set("scaled", 1);
    bind["scale"] = scale;
  }
  op(component, std::move(c), std::move(bind));
}

void LayerBuilder::rms_norm_of_stream(const std::string& component, const std::string& x, const std::string& residual,
                                      const std::string& w, const std::string& normed, const std::string& stream,
                                      std::int64_t width, const StreamFactors& f) {
  rms_norm(component, x, w, normed, width, residual, stream);
  OpCase& c = plan_.ops.back().op_case;
  if (f.x_times != 1) c.set("x_times", f.x_times);
  if (f.residual_times != 1) c.set("residual_times", f.residual_times);
  c.set("y_times", f.y_times);
}

void LayerBuilder::sigmoid_gate(const std::string& component, const std::string& x, const std::string& gate,
                                const std::string& y, std::int64_t width, std::int64_t gates) {
  OpCase c("sigmoid_gate");
  c.set("tokens", tokens()).set("width", width).set("gates", gates);
  const auto it =
      std::find_if(plan_.buffers.begin(), plan_.buffers.end(), [&](const BufferSpec& b) { return b.name == gate; });
  c.set("x_type", s_.activation_type).set("gate_type", it->dtype).set("y_type", s_.activation_type);
  op(component, std::move(c), {{"x", x}, {"gate", gate}, {"y", y}});
}

void LayerBuilder::linear(const std::string& component, const std::string& x, const std::string& w,
                          const std::string& y, std::int64_t n, std::int64_t k, const LinearOptions& o) {
  OpCase c("linear");
  c.set("m", tokens()).set("n", n).set("k", k);
  c.set("x_type", s_.activation_type)
      .set("w_type", format_of(w).name)
      .set("y_type", o.y_type.value_or(s_.activation_type));
  std::map<std::string, std::string> bind = {{"x", x}, {"w", w}, {"y", y}};
  if (!o.bias.empty()) {
    c.set("bias", 1);
    if (!format_of(w).is_plain()) c.set("bias_type", s_.weights.vectors);
    bind["bias"] = o.bias;
  }
  if (!o.residual.empty()) {
    c.set("residual", 1);
    bind["residual"] = o.residual;
  }
  if (o.y_width > 0) c.set("y_width", o.y_width).set("y_first", o.y_first);
  op(component, std::move(c), std::move(bind));
}

namespace {

// "q k" of sources self_attn.q_proj.weight and self_attn.k_proj.weight.
std::string what_of(std::span<const WeightSpec::Source> sources) {
  std::string out, last;
  for (const WeightSpec::Source& s : sources) {
    std::string word = s.tensor.substr(0, s.tensor.rfind('.'));
    word = word.substr(word.rfind('.') + 1);
    if (word.ends_with("_proj")) word.resize(word.size() - 5);
    if (word != last) out += (out.empty() ? "" : " ") + word;
    last = word;
  }
  return out;
}

}  // namespace

void LayerBuilder::fused_linear(const std::string& component, const std::string& x, const std::string& w,
                                Sources sources, const std::string& y, std::int64_t k, const LinearOptions& o) {
  const bool by_config = s_.weights.by_config;
  const WeightFormat* const all = by_config ? format_in(w, &weight_format(s_.weights.vectors)) : s_.weights.matrices;
  std::int64_t n = 0;
  std::vector<const WeightFormat*> formats;
  for (const WeightSpec::Source& s : sources) {
    n += s.elements() / k;
    formats.push_back(by_config ? format_in(s.tensor, all) : all);
  }
  if (std::equal(formats.begin() + 1, formats.end(), formats.begin())) {
    linear(component, x, matrix(w, {n, k}, std::move(sources)), y, n, k, o);
    plan_.weights.back().separable = true;
    return;
  }
  std::int64_t row = 0;
  for (std::size_t first = 0, end = 0; first < sources.size(); first = end) {
    while (end < sources.size() && formats[end] == formats[first]) ++end;
    const std::span<const WeightSpec::Source> run(sources.data() + first, end - first);
    std::int64_t rows = 0;
    for (const WeightSpec::Source& s : run) rows += s.elements() / k;
    const std::string what = what_of(run);
    add_matrix(w + " " + what, formats[first], {rows, k}, Sources(run.begin(), run.end()));
    LinearOptions part = o;
    part.y_first = row, part.y_width = n;
    if (!o.bias.empty()) part.bias = part_of_bias(o.bias, first, end, what);
    // "shared gate_up": the last word says what it is made of.
    linear(component.substr(0, component.rfind(' ') + 1) + what, x, w + " " + what, y, rows, k, part);
    row += rows;
  }
  if (!o.bias.empty()) std::erase_if(plan_.weights, [&](const WeightSpec& b) { return b.name == o.bias; });
}

// That of sources first .. end - 1 of the bias `name`.
std::string LayerBuilder::part_of_bias(const std::string& name, std::size_t first, std::size_t end,
                                       const std::string& part) {
  const auto whole =
      std::find_if(plan_.weights.begin(), plan_.weights.end(), [&](const WeightSpec& w) { return w.name == name; });
  const auto at = whole->sources.begin();
  const Sources sources(at + static_cast<std::ptrdiff_t>(first), at + static_cast<std::ptrdiff_t>(end));
  return bias(name + " " + part, sources);
}

}  // namespace layercost

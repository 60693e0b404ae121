// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/layer_builder.h"

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"

namespace layercost {

const MatrixFormats LayerBuilder::kNone;

std::string LayerBuilder::buffer(const std::string& name, BufferRole role, DType t, Shape shape) {
  for (const BufferSpec& b : plan_.buffers)
    if (b.name == name) throw BadCase("a layer's plan has two buffers '" + name + "'");
  plan_.buffers.push_back({name, t, std::move(shape), role});
  return name;
}

std::string LayerBuilder::activation(const std::string& name, std::int64_t width, BufferRole role) {
  return buffer(name, role, s_.activation_type, {tokens(), width});
}

std::string LayerBuilder::matrix(const std::string& name, Shape shape, Sources sources, std::optional<DType> type) {
  const WeightFormat* format = type ? &weight_format(*type) : s_.weights.matrices;
  if (s_.weights.by_config) {
    const auto given = formats_.find(name);
    if (given != formats_.end()) format = given->second;
    else if (!type) format = &weight_format(s_.weights.vectors);
  }
  const float sigma = 1.0f / std::sqrt(static_cast<float>(shape.back()));
  plan_.weights.push_back({name, format, std::move(shape), 0.0f, sigma, std::move(sources)});
  plan_.weights.back().quantisable = !type;
  return name;
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
                            const std::string& sum, std::optional<double> eps) {
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
  op(component, std::move(c), std::move(bind));
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
  op(component, std::move(c), std::move(bind));
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/sigmoid_gate/sigmoid_gate.h"

#include <cmath>

#include "kernels/core/error.h"
#include "sigmoid_gate_variants.h"

namespace layercost {

SigmoidGateAxes sigmoid_gate_axes(const OpCase& c) {
  const SigmoidGateAxes a{c.axis("tokens"), c.axis("width"), c.axis("gates")};
  if (a.width % a.gates != 0) throw BadCase("'" + c.text() + "': expected gates to divide width");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("width"),
    axis_key("gates"),
    type_key("x_type", kFloatTypes),
    type_key("gate_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const SigmoidGateAxes a = sigmoid_gate_axes(c);
  return {
      {"x", Role::input, c.type("x_type"), {a.tokens, a.width}},
      // sigma 1.5: a gate of 6 and more would be lost in the rounding of a whole token in bf16, a common factor.
      {"gate", Role::input, c.type("gate_type"), {a.tokens, a.gates}, 1.5f},
      {"y", Role::output, c.type("y_type"), {a.tokens, a.width}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const SigmoidGateAxes a = sigmoid_gate_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto tokens = static_cast<double>(a.tokens);
  Work w;
  w.flops = tokens * static_cast<double>(a.width + 3 * a.gates);
  w.activation_bytes = tokens * (static_cast<double>(a.width) * (bytes("x_type") + bytes("y_type")) +
                                 static_cast<double>(a.gates) * bytes("gate_type"));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), 1); }

void reference(const OpCase& c, const OpTensors& t) {
  const SigmoidGateAxes a = sigmoid_gate_axes(c);
  const Tensor &x = t.tensor("x"), &gate = t.tensor("gate"), &y = t.tensor("y");
  for (std::int64_t token = 0; token < a.tokens; ++token)
    for (std::int64_t i = 0; i < a.width; ++i)
      y.store(token * a.width + i,
              x.load(token * a.width + i) / (1 + std::exp(-gate.load(token * a.gates + i / a.group()))));
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "sigmoid_gate tokens=1 width=1 gates=1 x_type=f32 gate_type=f32 y_type=f32",
           "sigmoid_gate tokens=3 width=90 gates=90 x_type=f32 gate_type=f32 y_type=f32",
           "sigmoid_gate tokens=2 width=4096 gates=4096 x_type=bf16 gate_type=bf16 y_type=bf16",
           "sigmoid_gate tokens=7 width=512 gates=1 x_type=bf16 gate_type=f32 y_type=bf16",
           "sigmoid_gate tokens=5 width=1027 gates=1 x_type=bf16 gate_type=bf16 y_type=f32",
           "sigmoid_gate tokens=4 width=144 gates=9 x_type=f32 gate_type=bf16 y_type=bf16",
           "sigmoid_gate tokens=33 width=1032 gates=1032 x_type=bf16 gate_type=bf16 y_type=bf16",
           "sigmoid_gate tokens=2 width=35 gates=7 x_type=f32 gate_type=f32 y_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef sigmoid_gate_op{
    "sigmoid_gate",       "product with the sigmoid of a gate", keys, tensors, work, tolerance, reference, test_cases,
    sigmoid_gate_variants};

}  // namespace layercost

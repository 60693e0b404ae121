// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_norm/gated_norm.h"

#include <cmath>

#include "gated_norm_variants.h"
#include "kernels/core/error.h"

namespace layercost {

GatedNormAxes gated_norm_axes(const OpCase& c) {
  const std::int64_t heads = c.axis("heads"), dim = c.axis("dim");
  const GatedNormAxes a{c.axis("tokens"), heads, dim, c.integer("z_width", heads * dim), c.real("eps")};
  if (a.z_width < a.width()) throw BadCase("'" + c.text() + "': expected a z_width of at least heads * dim");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("heads"),
    axis_key("dim"),
    integer_key("z_width", 1).optional(),  // heads * dim
    real_key("eps", 0),
    type_key("x_type", kFloatTypes),
    type_key("w_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const GatedNormAxes a = gated_norm_axes(c);
  return {
      {"x", Role::input, c.type("x_type"), {a.tokens, a.width()}},
      // sigma 4: the gate's tails reach 12, where exp(-z) is far from 1 on both sides.
      {"z", Role::input, c.type("x_type"), {a.tokens, a.z_width}, 4.0f},
      {"w", Role::weight, c.type("w_type"), {a.dim}, 0.2f, 1.0f},
      {"y", Role::output, c.type("y_type"), {a.tokens, a.width()}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const GatedNormAxes a = gated_norm_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const double n = static_cast<double>(a.tokens) * static_cast<double>(a.width());
  Work w;
  w.flops = 9 * n;
  w.weight_bytes = static_cast<double>(a.dim) * bytes("w_type");
  w.activation_bytes = n * (2 * bytes("x_type") + bytes("y_type"));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), c.axis("dim")); }

void reference(const OpCase& c, const OpTensors& t) {
  const GatedNormAxes a = gated_norm_axes(c);
  const Tensor &x = t.tensor("x"), &z = t.tensor("z"), &y = t.tensor("y");
  const OwnedTensor w = t.weight("w")->whole();
  for (std::int64_t token = 0; token < a.tokens; ++token)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = token * a.width() + h * a.dim;
      const std::int64_t gate = token * a.z_width + a.z_width - a.width() + h * a.dim;
      double squares = 0;
      for (std::int64_t i = 0; i < a.dim; ++i) squares += x.load(at + i) * x.load(at + i);
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(a.dim) + a.eps);
      for (std::int64_t i = 0; i < a.dim; ++i) {
        const double g = z.load(gate + i);
        y.store(at + i, x.load(at + i) * scale * w.view().load(i) * g / (1 + std::exp(-g)));
      }
    }
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "gated_norm tokens=1 heads=1 dim=1 eps=1e-06 x_type=f32 w_type=f32 y_type=f32",
           "gated_norm tokens=3 heads=5 dim=18 eps=0.001 z_width=233 x_type=f32 w_type=f32 y_type=f32",
           "gated_norm tokens=2 heads=32 dim=128 eps=1e-06 z_width=12288 x_type=bf16 w_type=bf16 y_type=bf16",
           "gated_norm tokens=7 heads=3 dim=136 eps=1e-05 x_type=bf16 w_type=bf16 y_type=bf16",
           "gated_norm tokens=5 heads=2 dim=77 eps=1e-06 z_width=160 x_type=bf16 w_type=f32 y_type=f32",
           "gated_norm tokens=70 heads=4 dim=128 eps=0.01 z_width=1024 x_type=f32 w_type=bf16 y_type=bf16",
           "gated_norm tokens=2 heads=1 dim=2056 eps=1e-06 x_type=f32 w_type=f32 y_type=f32",
           "gated_norm tokens=1 heads=33 dim=64 eps=1e-06 z_width=2120 x_type=bf16 w_type=bf16 y_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef gated_norm_op{"gated_norm",
                          "normalisation of each head, times silu of a gate",
                          keys,
                          tensors,
                          work,
                          tolerance,
                          reference,
                          test_cases,
                          gated_norm_variants};

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm/rms_norm.h"

#include <cmath>

#include "kernels/core/error.h"
#include "rms_norm_variants.h"

namespace layercost {

RmsNormFactors rms_norm_factors(const OpCase& c) {
  const auto of = [&](const char* key, float absent) { return c.has(key) ? static_cast<float>(c.real(key)) : absent; };
  return {of("x_times", 1), of("residual_times", 1), of("y_times", 0)};
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("hidden"),
    real_key("eps", 0),
    type_key("x_type", kFloatTypes),
    type_key("w_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
    flag_key("residual"),
    flag_key("added"),
    flag_key("scaled"),
    real_key("x_times").optional(),         // 1
    real_key("residual_times").optional(),  // 1
    real_key("y_times", 1e-30).optional(),  // `sum` is s
};

void expect_options(const OpCase& c) {
  if (c.flag("added") && c.flag("residual")) throw BadCase("'" + c.text() + "': expected residual or added, not both");
  if (c.flag("scaled") && !c.flag("added")) throw BadCase("'" + c.text() + "': expected added beside scaled");
  for (const char* key : {"x_times", "residual_times", "y_times"})
    if (c.has(key) && !c.flag("residual")) throw BadCase("'" + c.text() + "': expected residual beside " + key);
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  expect_options(c);
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden");
  const DType x = c.type("x_type");
  std::vector<TensorSpec> out = {
      {"x", Role::input, x, {tokens, hidden}},
      {"w", Role::weight, c.type("w_type"), {hidden}, 0.2f, 1.0f},
      {"y", Role::output, c.type("y_type"), {tokens, hidden}},
  };
  if (c.flag("residual")) {
    out.push_back({"residual", Role::input, x, {tokens, hidden}});
    out.push_back({"sum", Role::output, x, {tokens, hidden}});
  }
  if (c.flag("added")) out.push_back({"addend", Role::input, c.type("y_type"), {tokens, hidden}});
  if (c.flag("scaled")) out.push_back({"scale", Role::weight, DType::f32, {1}, 0.2f, 0.7f});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const double n = static_cast<double>(c.axis("tokens")) * static_cast<double>(c.axis("hidden"));
  const double x = static_cast<double>(size_of(c.type("x_type"))), y = static_cast<double>(size_of(c.type("y_type")));
  Work w;
  const double added = c.flag("added") ? 1 : 0, scaled = c.flag("scaled") ? 1 : 0;
  double factors = 0;
  for (const char* key : {"x_times", "residual_times", "y_times"}) factors += c.has(key) ? 1 : 0;
  w.flops = n * ((c.flag("residual") ? 5 : 4) + added + scaled + factors);
  w.weight_bytes = static_cast<double>(c.axis("hidden")) * static_cast<double>(size_of(c.type("w_type")));
  w.weight_bytes += scaled * static_cast<double>(sizeof(float));
  w.activation_bytes = n * ((c.flag("residual") ? 3 * x + y : x + y) + added * y);
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  // y is made from the sum as stored, so a bf16 sum limits an f32 y as well.
  const bool through_sum = output == "sum" || c.flag("residual");
  const DType x = c.type("x_type"), y = c.type("y_type");
  return usual_tolerance(through_sum && size_of(x) < size_of(y) ? x : y, c.axis("hidden"));
}

void reference(const OpCase& c, const OpTensors& t) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden");
  const double eps = c.real("eps");
  const bool residual = c.flag("residual");
  const Tensor &x = t.tensor("x"), &y = t.tensor("y");
  const OwnedTensor w = t.weight("w")->whole();
  const double x_times = c.has("x_times") ? c.real("x_times") : 1.0;
  const double residual_times = c.has("residual_times") ? c.real("residual_times") : 1.0;
  const double factor = c.flag("scaled") ? t.weight("scale")->whole().view().load(0) : 1.0;
  std::vector<double> s(static_cast<std::size_t>(hidden));
  for (std::int64_t row = 0; row < tokens; ++row) {
    double squares = 0;
    for (std::int64_t h = 0; h < hidden; ++h) {
      const std::int64_t i = row * hidden + h;
      double& v = s[static_cast<std::size_t>(h)];
      v = x_times * x.load(i) + (residual ? residual_times * t.tensor("residual").load(i) : 0.0);
      if (residual) t.tensor("sum").store(i, v);
      squares += v * v;
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(hidden) + eps);
    for (std::int64_t h = 0; h < hidden; ++h) {
      const std::int64_t i = row * hidden + h;
      const double addend = c.flag("added") ? t.tensor("addend").load(i) : 0.0;
      const double normed = s[static_cast<std::size_t>(h)] * scale * w.view().load(h);
      y.store(i, (normed + addend) * factor);
      if (c.has("y_times")) t.tensor("sum").store(i, c.real("y_times") * normed);
    }
  }
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "rms_norm tokens=1 hidden=1 eps=1e-06 x_type=f32 w_type=f32 y_type=f32",
           "rms_norm tokens=3 hidden=90 eps=0.001 x_type=f32 w_type=f32 y_type=f32 residual=1",
           "rms_norm tokens=8 hidden=2048 eps=1e-06 x_type=bf16 w_type=bf16 y_type=bf16",
           "rms_norm tokens=5 hidden=1027 eps=1e-05 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           "rms_norm tokens=2 hidden=512 eps=1e-06 x_type=bf16 w_type=f32 y_type=f32 residual=1",
           "rms_norm tokens=9 hidden=136 eps=0.001 x_type=f32 w_type=bf16 y_type=bf16 residual=1",
           "rms_norm tokens=3 hidden=1048 eps=1e-06 x_type=f32 w_type=f32 y_type=f32 residual=1",
           "rms_norm tokens=2 hidden=8200 eps=1e-05 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           "rms_norm tokens=2 hidden=8200 eps=1e-05 x_type=f32 w_type=bf16 y_type=f32",
           "rms_norm tokens=2 hidden=1060 eps=1e-05 x_type=bf16 w_type=bf16 y_type=bf16 residual=1",
           // Behind a block, as in Gemma: in registers, read twice, elements by one.
           "rms_norm tokens=3 hidden=90 eps=0.001 x_type=f32 w_type=f32 y_type=f32 added=1",
           "rms_norm tokens=5 hidden=2816 eps=1e-06 x_type=bf16 w_type=bf16 y_type=bf16 added=1 scaled=1",
           "rms_norm tokens=2 hidden=8200 eps=1e-05 x_type=bf16 w_type=bf16 y_type=f32 added=1 scaled=1",
           "rms_norm tokens=3 hidden=1027 eps=1e-05 x_type=f32 w_type=bf16 y_type=bf16 added=1 scaled=1",
           "rms_norm tokens=9 hidden=136 eps=0.001 x_type=bf16 w_type=f32 y_type=bf16 added=1",
           // A stream that goes on from the norm, as in MiniMax-Text-01.
           "rms_norm tokens=3 hidden=90 eps=0.001 x_type=f32 w_type=f32 y_type=f32 residual=1 x_times=0.7 "
           "residual_times=1.9 y_times=0.6",
           "rms_norm tokens=5 hidden=6144 eps=1e-05 x_type=bf16 w_type=bf16 y_type=bf16 residual=1 "
           "residual_times=3.5565588200778455 y_times=3.5565588200778455",
           "rms_norm tokens=2 hidden=8200 eps=1e-05 x_type=bf16 w_type=bf16 y_type=f32 residual=1 x_times=1.5 "
           "y_times=2.5",
           "rms_norm tokens=4 hidden=1027 eps=1e-05 x_type=f32 w_type=bf16 y_type=bf16 residual=1 residual_times=0.5",
           "rms_norm tokens=9 hidden=136 eps=0.001 x_type=f32 w_type=f32 y_type=f32 residual=1 x_times=0.5 y_times=1.5",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef rms_norm_op{"rms_norm",
                        "root-mean-square normalisation, with an optional residual add",
                        keys,
                        tensors,
                        work,
                        tolerance,
                        reference,
                        test_cases,
                        rms_norm_variants};

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/glu/glu.h"

#include <cmath>

#include "glu_variants.h"
#include "kernels/contract/glu_act.h"

namespace layercost {
namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("ffn_hidden"),
    word_key("act", kGluActs).or_else("silu"),
    real_key("limit", 1e-3, 1e6).optional(),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  glu_act(c);
  const std::int64_t tokens = c.axis("tokens"), ffn_hidden = c.axis("ffn_hidden");
  return {
      // sigma 4: the gate's tails reach 12, where exp(-g) is far from 1 on both sides.
      {"x", Role::input, c.type("x_type"), {tokens, 2 * ffn_hidden}, 4.0f},
      {"y", Role::output, c.type("y_type"), {tokens, ffn_hidden}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const double n = static_cast<double>(c.axis("tokens")) * static_cast<double>(c.axis("ffn_hidden"));
  Work w;
  w.flops = glu_act(c).flops() * n;
  w.activation_bytes =
      n * (2 * static_cast<double>(size_of(c.type("x_type"))) + static_cast<double>(size_of(c.type("y_type"))));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), 1); }

void reference(const OpCase& c, const OpTensors& t) {
  const std::int64_t tokens = c.axis("tokens"), n = c.axis("ffn_hidden");
  const GluAct act = glu_act(c);
  const Tensor &x = t.tensor("x"), &y = t.tensor("y");
  for (std::int64_t row = 0; row < tokens; ++row)
    for (std::int64_t i = 0; i < n; ++i) {
      const double gate = x.load(row * 2 * n + i), up = x.load(row * 2 * n + n + i);
      y.store(row * n + i, act(gate, up));
    }
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "glu tokens=1 ffn_hidden=1 act=silu x_type=f32 y_type=f32",
           "glu tokens=3 ffn_hidden=90 act=silu x_type=f32 y_type=f32",
           "glu tokens=1 ffn_hidden=25601 act=silu x_type=bf16 y_type=bf16",
           "glu tokens=7 ffn_hidden=1027 act=silu x_type=bf16 y_type=bf16",
           "glu tokens=65 ffn_hidden=768 act=silu x_type=f32 y_type=bf16",
           "glu tokens=2 ffn_hidden=37 x_type=bf16 y_type=f32",
           "glu tokens=3 ffn_hidden=1048 x_type=bf16 y_type=bf16",
           "glu tokens=19 ffn_hidden=264 x_type=f32 y_type=f32",
           "glu tokens=2 ffn_hidden=332 x_type=bf16 y_type=bf16",
           // Of values with a deviation of 4, a part is beyond 7 and another one beyond 2.
           "glu tokens=3 ffn_hidden=90 act=clamped limit=7 x_type=f32 y_type=f32",
           "glu tokens=5 ffn_hidden=2880 act=clamped limit=7 x_type=bf16 y_type=bf16",
           "glu tokens=7 ffn_hidden=1027 act=clamped limit=2 x_type=bf16 y_type=f32",
           "glu tokens=2 ffn_hidden=264 act=clamped limit=2.5 x_type=f32 y_type=bf16",
           "glu tokens=3 ffn_hidden=90 act=gelu_tanh x_type=f32 y_type=f32",
           "glu tokens=7 ffn_hidden=1027 act=gelu_tanh x_type=bf16 y_type=bf16",
           "glu tokens=5 ffn_hidden=2112 act=gelu_tanh x_type=bf16 y_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef glu_op{
    "glu",       "gated activation, silu(gate) * up and others", keys, tensors, work, tolerance, reference, test_cases,
    glu_variants};

}  // namespace layercost

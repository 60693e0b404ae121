// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts.h"

#include <cmath>

#include "kernels/contract/bias.h"
#include "kernels/contract/expert_ids.h"
#include "kernels/contract/glu_act.h"
#include "kernels/contract/reference.h"
#include "kernels/core/error.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("hidden"),
    axis_key("ffn_hidden"),
    axis_key("experts"),
    axis_key("top_k"),
    word_key("act", kGluActs).or_else("silu"),
    real_key("limit", 1e-3, 1e6).optional(),
    type_key("x_type", kFloatTypes),
    format_key("w_type"),
    type_key("y_type", kFloatTypes),
    format_key("down_type").optional(),
    flag_key("residual"),
    flag_key("bias"),
    type_key("bias_type", kFloatTypes).optional(),
    flag_key("weigh_input"),
};

struct Sizes {
  explicit Sizes(const OpCase& c)
      : tokens(c.axis("tokens")),
        hidden(c.axis("hidden")),
        ffn(c.axis("ffn_hidden")),
        experts(c.axis("experts")),
        top_k(c.axis("top_k")) {
    if (top_k > experts) throw BadCase("'" + c.text() + "': top_k is larger than experts");
  }
  std::int64_t tokens, hidden, ffn, experts, top_k;
};

// That of w_down.
const WeightFormat& down_format(const OpCase& c) { return c.format(c.has("down_type") ? "down_type" : "w_type"); }

std::vector<TensorSpec> tensors(const OpCase& c) {
  const Sizes s(c);
  glu_act(c);
  const DType x = c.type("x_type"), y = c.type("y_type");
  const WeightFormat &w = c.format("w_type"), &down = down_format(c);
  w.expect_columns(s.hidden), down.expect_columns(s.ffn);
  // Sigmas for which gate and up have variance 1, and y about 0.1 before the residual.
  const auto sigma = [](std::int64_t terms) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(terms))); };
  const float mean = 1.0f / static_cast<float>(s.top_k);
  std::vector<TensorSpec> out = {
      {"x", Role::input, x, {s.tokens, s.hidden}},
      {.name = "ids",
       .role = Role::input,
       .dtype = DType::i32,
       .shape = {s.tokens, s.top_k},
       .fill = fill_expert_ids(s.experts)},
      {"weights", Role::input, DType::f32, {s.tokens, s.top_k}, mean / 4, mean},
      {.name = "w_gate_up",
       .role = Role::weight,
       .dtype = w.values,
       .shape = {s.experts, 2 * s.ffn, s.hidden},
       .sigma = sigma(s.hidden),
       .format = &w},
      {.name = "w_down",
       .role = Role::weight,
       .dtype = down.values,
       .shape = {s.experts, s.hidden, s.ffn},
       .sigma = sigma(s.ffn),
       .format = &down},
      {"y", Role::output, y, {s.tokens, s.hidden}},
  };
  if (c.flag("residual")) out.push_back({"residual", Role::input, y, {s.tokens, s.hidden}});
  if (c.flag("bias")) {
    out.push_back({"b_gate_up", Role::weight, bias_type(c), {s.experts, 2 * s.ffn}});
    out.push_back({"b_down", Role::weight, bias_type(c), {s.experts, s.hidden}});
  }
  return out;
}

Work work(const OpCase& c, const WorkFacts& facts) {
  const Sizes s(c);
  const auto tokens = static_cast<double>(s.tokens), hidden = static_cast<double>(s.hidden),
             ffn = static_cast<double>(s.ffn);
  const auto pairs = static_cast<double>(s.tokens * s.top_k);
  const double residual = c.flag("residual") ? 1 : 0;
  const double distinct = facts.distinct_experts.value_or(std::min(static_cast<double>(s.experts), pairs));
  Work w;
  const double biases = c.flag("bias") ? 2 * ffn + hidden : 0;
  w.flops = pairs * (6 * hidden * ffn + glu_act(c).flops() * ffn + 2 * hidden + biases) + residual * tokens * hidden;
  w.products = {{arithmetic_of(c.type("x_type"), c.format("w_type")), pairs * 4 * hidden * ffn},
                {arithmetic_of(c.type("x_type"), down_format(c)), pairs * 2 * hidden * ffn}};
  const double bias_bytes = biases > 0 ? biases * static_cast<double>(size_of(bias_type(c))) : 0;
  w.weight_bytes =
      distinct * (c.format("w_type").bytes(2 * s.ffn, s.hidden) + down_format(c).bytes(s.hidden, s.ffn) + bias_bytes);
  w.activation_bytes = tokens * hidden *
                           (static_cast<double>(size_of(c.type("x_type"))) +
                            (1 + residual) * static_cast<double>(size_of(c.type("y_type")))) +
                       8 * pairs;
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) {
  const Tolerance f32 = usual_tolerance(DType::f32, std::max(c.axis("hidden"), c.axis("ffn_hidden")));
  const DType x = c.type("x_type"), y = c.type("y_type"), coarser = size_of(x) < size_of(y) ? x : y;
  switch (coarser) {
    case DType::f32:
      return f32;
    case DType::bf16:
      return {6e-3 + f32.rel_l2, 12e-3 + f32.rel_l2, 5e-4};
    case DType::f64:
    case DType::i32:
    case DType::fp8_e4m3:
      break;
  }
  throw BadCase("no limits are known for experts in " + std::string(to_string(coarser)));
}

void reference(const OpCase& c, const OpTensors& t) {
  const Sizes s(c);
  const std::vector<double> x = as_double(t.tensor("x"));
  const auto* ids = t.tensor("ids").as<std::int32_t>();
  std::vector<double> y = c.flag("residual") ? as_double(t.tensor("residual"))
                                             : std::vector<double>(static_cast<std::size_t>(s.tokens * s.hidden));
  const GluAct act = glu_act(c);
  const bool bias = c.flag("bias"), weigh_input = c.flag("weigh_input");
  const auto weight = [&](std::int64_t pair) { return t.tensor("weights").load(pair); };
  const std::vector<double> b_gate_up = bias ? as_double(t.weight("b_gate_up")->whole()) : std::vector<double>(),
                            b_down = bias ? as_double(t.weight("b_down")->whole()) : std::vector<double>();
  for (std::int64_t e = 0; e < s.experts; ++e) {
    std::vector<std::int64_t> pairs;
    for (std::int64_t p = 0; p < s.tokens * s.top_k; ++p)
      if (ids[p] == e) pairs.push_back(p);
    if (pairs.empty()) continue;
    const auto rows = static_cast<std::int64_t>(pairs.size());
    const auto token = [&](std::int64_t r) { return pairs[static_cast<std::size_t>(r)] / s.top_k; };
    std::vector<double> gate_up(static_cast<std::size_t>(rows * 2 * s.ffn));
    for_rows_of(
        *t.weight("w_gate_up"), 2 * s.ffn, s.hidden,
        [&](std::int64_t j, const double* row) {
          const double more = bias ? b_gate_up[static_cast<std::size_t>(e * 2 * s.ffn + j)] : 0;
          for (std::int64_t r = 0; r < rows; ++r)
            gate_up[static_cast<std::size_t>(r * 2 * s.ffn + j)] =
                dot(x.data() + token(r) * s.hidden, row, s.hidden) *
                    (weigh_input ? weight(pairs[static_cast<std::size_t>(r)]) : 1.0) +
                more;
        },
        e * 2 * s.ffn);
    std::vector<double> h(static_cast<std::size_t>(rows * s.ffn));
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t f = 0; f < s.ffn; ++f) {
        const double* both = gate_up.data() + r * 2 * s.ffn;
        h[static_cast<std::size_t>(r * s.ffn + f)] = act(both[f], both[s.ffn + f]);
      }
    for_rows_of(
        *t.weight("w_down"), s.hidden, s.ffn,
        [&](std::int64_t j, const double* row) {
          const double more = bias ? b_down[static_cast<std::size_t>(e * s.hidden + j)] : 0;
          for (std::int64_t r = 0; r < rows; ++r)
            y[static_cast<std::size_t>(token(r) * s.hidden + j)] +=
                (weigh_input ? 1.0 : weight(pairs[static_cast<std::size_t>(r)])) *
                (dot(h.data() + r * s.ffn, row, s.ffn) + more);
        },
        e * s.hidden);
  }
  for (std::int64_t i = 0; i < s.tokens * s.hidden; ++i) t.tensor("y").store(i, y[static_cast<std::size_t>(i)]);
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "moe_experts tokens=1 hidden=1 ffn_hidden=1 experts=1 top_k=1 act=silu x_type=f32 w_type=f32 y_type=f32",
           "moe_experts tokens=5 hidden=90 ffn_hidden=37 experts=7 top_k=3 act=silu x_type=f32 w_type=f32 y_type=f32 "
           "residual=1",
           "moe_experts tokens=1 hidden=512 ffn_hidden=96 experts=32 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=17 hidden=258 ffn_hidden=70 experts=5 top_k=5 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           "moe_experts tokens=70 hidden=130 ffn_hidden=64 experts=8 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=9 hidden=128 ffn_hidden=96 experts=4 top_k=1 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32",
           // For the variants that differ in tokens, with sizes that end inside of steps and tiles: one token with rows
           // of several steps; several tokens with the same expert, up to all with one; most experts empty.
           "moe_experts tokens=1 hidden=520 ffn_hidden=72 experts=16 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=1 hidden=72 ffn_hidden=264 experts=4 top_k=1 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32 residual=1",
           "moe_experts tokens=2 hidden=264 ffn_hidden=40 experts=5 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=2 hidden=64 ffn_hidden=16 experts=40 top_k=20 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           "moe_experts tokens=4 hidden=72 ffn_hidden=32 experts=6 top_k=3 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32",
           "moe_experts tokens=5 hidden=64 ffn_hidden=16 experts=40 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=8 hidden=64 ffn_hidden=40 experts=1 top_k=1 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32 residual=1",
           "moe_experts tokens=8 hidden=72 ffn_hidden=24 experts=12 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           "moe_experts tokens=17 hidden=136 ffn_hidden=40 experts=16 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=70 hidden=72 ffn_hidden=136 experts=4 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32 residual=1",
           "moe_experts tokens=150 hidden=72 ffn_hidden=40 experts=20 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           "moe_experts tokens=150 hidden=16 ffn_hidden=8 experts=9 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32",
           "moe_experts tokens=130 hidden=72 ffn_hidden=40 experts=3 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=160 hidden=136 ffn_hidden=72 experts=4 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32",
           "moe_experts tokens=150 hidden=64 ffn_hidden=72 experts=1 top_k=1 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           // More than 512 pairs of few tokens: a warp of the sort has more than 32.
           "moe_experts tokens=64 hidden=64 ffn_hidden=16 experts=12 top_k=10 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           // Partial tiles of 192 pairs, 96 neurons and 64 columns, more slices than stages, experts with one tile,
           // several and none.
           "moe_experts tokens=150 hidden=136 ffn_hidden=72 experts=5 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=f32",
           "moe_experts tokens=200 hidden=456 ffn_hidden=264 experts=3 top_k=2 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=130 hidden=264 ffn_hidden=136 experts=40 top_k=8 act=silu x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           // Experts of one block and of several, with parts.
           "moe_experts tokens=3 hidden=20 ffn_hidden=12 experts=4 top_k=2 x_type=f32 w_type=fp8_block128 y_type=f32",
           "moe_experts tokens=5 hidden=256 ffn_hidden=130 experts=3 top_k=2 x_type=bf16 w_type=fp8_block128 "
           "y_type=bf16 residual=1",
           "moe_experts tokens=1 hidden=256 ffn_hidden=256 experts=16 top_k=8 x_type=bf16 w_type=q4_k y_type=bf16 "
           "residual=1",
           "moe_experts tokens=6 hidden=128 ffn_hidden=96 experts=4 top_k=2 x_type=bf16 w_type=mxfp4 y_type=bf16",
           // Files of llama.cpp: the last matrices in another format.
           "moe_experts tokens=3 hidden=256 ffn_hidden=256 experts=6 top_k=2 x_type=bf16 w_type=q4_k y_type=bf16 "
           "down_type=q6_k residual=1",
           "moe_experts tokens=9 hidden=72 ffn_hidden=64 experts=4 top_k=2 x_type=bf16 w_type=bf16 y_type=bf16 "
           "down_type=q8_0",
           "moe_experts tokens=33 hidden=128 ffn_hidden=128 experts=3 top_k=2 x_type=bf16 w_type=int4_g128 y_type=bf16",
           // Llama 4: weights before the experts; also beside biases, which they do not reach.
           "moe_experts tokens=5 hidden=90 ffn_hidden=37 experts=7 top_k=3 x_type=f32 w_type=f32 y_type=f32 residual=1 "
           "bias=1 weigh_input=1",
           "moe_experts tokens=1 hidden=96 ffn_hidden=64 experts=8 top_k=1 x_type=bf16 w_type=bf16 y_type=bf16 "
           "residual=1 weigh_input=1",
           "moe_experts tokens=21 hidden=72 ffn_hidden=40 experts=4 top_k=2 x_type=bf16 w_type=bf16 y_type=bf16 "
           "weigh_input=1",
           "moe_experts tokens=6 hidden=128 ffn_hidden=96 experts=4 top_k=1 x_type=bf16 w_type=int4_g32 y_type=bf16 "
           "residual=1 weigh_input=1",
           "moe_experts tokens=5 hidden=90 ffn_hidden=37 experts=7 top_k=3 act=gelu_tanh x_type=f32 w_type=f32 "
           "y_type=f32 residual=1",
           "moe_experts tokens=3 hidden=72 ffn_hidden=40 experts=4 top_k=2 act=gelu_tanh x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           // gpt-oss: clamped, with biases.
           "moe_experts tokens=5 hidden=90 ffn_hidden=37 experts=7 top_k=3 act=clamped limit=1.5 x_type=f32 w_type=f32 "
           "y_type=f32 residual=1 bias=1",
           "moe_experts tokens=3 hidden=64 ffn_hidden=72 experts=6 top_k=4 act=clamped limit=7 x_type=bf16 w_type=bf16 "
           "y_type=bf16 residual=1 bias=1",
           "moe_experts tokens=1 hidden=96 ffn_hidden=64 experts=8 top_k=4 act=clamped limit=7 x_type=bf16 "
           "w_type=mxfp4 "
           "y_type=bf16 residual=1 bias=1 bias_type=bf16",
           "moe_experts tokens=40 hidden=64 ffn_hidden=96 experts=4 top_k=2 act=clamped limit=1 x_type=bf16 "
           "w_type=mxfp4 y_type=bf16 bias=1 bias_type=bf16",
           "moe_experts tokens=9 hidden=72 ffn_hidden=40 experts=4 top_k=2 x_type=bf16 w_type=bf16 y_type=bf16 bias=1",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef moe_experts_op{"moe_experts",
                           "the chosen experts of a mixture-of-experts layer",
                           keys,
                           tensors,
                           work,
                           tolerance,
                           reference,
                           test_cases,
                           moe_experts_variants};

}  // namespace layercost

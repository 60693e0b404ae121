// The formula as it stands, pair by pair, inner activations in f32: a second opinion that shares no code with the
// chain. An expert's weights are read once per pair, not once per expert.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <vector>

#include "kernels/contract/bias.h"
#include "kernels/contract/dispatch.h"
#include "kernels/contract/glu_act.h"
#include "kernels/core/team.h"
#include "kernels/cpu/plain_dot.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

// Row `row`, counted over all experts, of [experts, rows, k] weights.
template <class W>
struct PlainRows {
  const W* w;
  std::int64_t k;
  const W* operator()(std::int64_t row, std::vector<float>&) const { return w + row * k; }
};
struct CodedRows {
  const CodedWeight* w;
  const float* operator()(std::int64_t row, std::vector<float>& to) const {
    to.resize(static_cast<std::size_t>(w->columns));
    w->decode(row, 0, w->columns, to.data());
    return to.data();
  }
};

struct Biases {
  const float *gate_up, *down;  // null: none
  float of_gate_up(std::int64_t row) const { return gate_up != nullptr ? gate_up[row] : 0.0f; }
  float of_down(std::int64_t row) const { return down != nullptr ? down[row] : 0.0f; }
};

template <class X, class GateUpRows, class DownRows, class Y>
void experts_of(std::int64_t tokens, std::int64_t hidden, std::int64_t ffn, std::int64_t top_k, const GluAct& act,
                bool weigh_input, const Biases& bias, const X* x, const std::int32_t* ids, const float* weights,
                const GateUpRows& w_gate_up, const DownRows& w_down, const Y* residual, float* h, Y* y) {
  each_row_and_column(tokens * top_k, ffn, true, [&](std::int64_t p, std::int64_t f) {
    thread_local std::vector<float> decoded;
    const X* row = x + p / top_k * hidden;
    const std::int64_t expert = ids[p] * 2 * ffn;
    const auto product = [&](std::int64_t of) {
      return plain_dot(row, w_gate_up(of, decoded), hidden) * (weigh_input ? weights[p] : 1.0f) +
             bias.of_gate_up(of);
    };
    h[p * ffn + f] = act(product(expert + f), product(expert + ffn + f));
  });
  each_row_and_column(tokens, hidden, true, [&](std::int64_t t, std::int64_t i) {
    thread_local std::vector<float> decoded;
    float sum = 0;
    for (std::int64_t p = t * top_k; p < (t + 1) * top_k; ++p)
      sum +=
          (weigh_input ? 1.0f : weights[p]) *
          (plain_dot(h + p * ffn, w_down(ids[p] * hidden + i, decoded), ffn) + bias.of_down(ids[p] * hidden + i));
    if (residual != nullptr) sum += load_f32(residual + t * hidden + i);
    store_f32(y + t * hidden + i, sum);
  });
}

// f(the weight's rows of k values), in the type that they are stored in.
template <class F>
auto with_rows(const Weight& w, std::int64_t k, F&& f) {
  using Result = decltype(f(PlainRows<float>{nullptr, k}));
  if (!w.format().is_plain()) return Result(f(CodedRows{&w.coded()}));  // made here, not when it is timed
  const auto rows = row_major(w);
  return dispatch_float(w.dtype(), [&]<class W>(W*) { return Result(f(PlainRows<W>{rows->view().as<W>(), k})); });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden"),
                     top_k = c.axis("top_k");
  const Tensor x = t.tensor("x"), ids = t.tensor("ids"), weights = t.tensor("weights"), y = t.tensor("y");
  const Tensor residual = c.flag("residual") ? t.tensor("residual") : Tensor{};
  const GluAct act = glu_act(c);
  const bool weigh_input = c.flag("weigh_input");
  const auto b_gate_up = f32_bias(c, t, "b_gate_up"), b_down = f32_bias(c, t, "b_down");
  const Biases bias{b_gate_up ? b_gate_up->view().as<float>() : nullptr, b_down ? b_down->view().as<float>() : nullptr};
  const std::shared_ptr<const Weight> gate_up = t.weight("w_gate_up"), down = t.weight("w_down");
  const auto h = std::make_shared<OwnedTensor>(DType::f32, Shape{tokens * top_k, ffn});
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype, [&]<class Y>(Y*) -> std::unique_ptr<Invocation> {
      return with_rows(*gate_up, hidden, [&](const auto& gate_up_rows) {
        return with_rows(*down, ffn, [&](const auto& down_rows) {
          // Weights and biases are held for their rows.
          return invocation([=, keep = std::tuple(gate_up, down, b_gate_up, b_down)] {
            experts_of(tokens, hidden, ffn, top_k, act, weigh_input, bias, x.as<X>(), ids.as<std::int32_t>(),
                       weights.as<float>(), gate_up_rows, down_rows, residual.as<Y>(), h->view().as<float>(),
                       y.as<Y>());
          });
        });
      });
    });
  });
}

}  // namespace

const Variant moe_experts_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows =
        "act=silu|clamped|gelu_tanh limit x_type=f32|bf16 w_type=* down_type=* y_type=f32|bf16 residual bias "
        "bias_type=f32|bf16 weigh_input",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

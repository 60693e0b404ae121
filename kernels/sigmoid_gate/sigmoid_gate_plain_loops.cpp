// One token after the other, plain C++ with the library's exp.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/sigmoid_gate/sigmoid_gate.h"
#include "sigmoid_gate_variants.h"

namespace layercost {
namespace {

template <class X, class G, class Y>
void gates(const SigmoidGateAxes& a, const X* x, const G* gate, Y* y) {
  each_row_and_column(a.tokens, a.gates, true, [&](std::int64_t t, std::int64_t j) {
    const float factor = 1.0f / (1.0f + std::exp(-load_f32(gate + t * a.gates + j)));
    const std::int64_t first = t * a.width + j * a.group();
    for (std::int64_t i = first; i < first + a.group(); ++i) store_f32(y + i, load_f32(x + i) * factor);
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const SigmoidGateAxes a = sigmoid_gate_axes(c);
  const Tensor x = t.tensor("x"), gate = t.tensor("gate"), y = t.tensor("y");
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(gate.dtype, [&]<class G>(G*) {
      return dispatch_float(
          y.dtype, [&]<class Y>(Y*) { return invocation([=] { gates(a, x.as<X>(), gate.as<G>(), y.as<Y>()); }); });
    });
  });
}

}  // namespace

const Variant sigmoid_gate_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 gate_type=f32|bf16 y_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

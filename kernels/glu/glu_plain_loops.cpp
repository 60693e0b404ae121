// One token after the other, plain C++ with the library's exp.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "glu_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/contract/glu_act.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

template <class X, class Y>
void rows(std::int64_t tokens, std::int64_t n, const GluAct& act, const X* x, Y* y) {
  each_row_and_column(tokens, n, true, [&](std::int64_t t, std::int64_t i) {
    const float gate = load_f32(x + t * 2 * n + i), up = load_f32(x + t * 2 * n + n + i);
    store_f32(y + t * n + i, act(gate, up));
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t tokens = c.axis("tokens"), n = c.axis("ffn_hidden");
  const GluAct act = glu_act(c);
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype,
                          [&]<class Y>(Y*) { return invocation([=] { rows(tokens, n, act, x.as<X>(), y.as<Y>()); }); });
  });
}

}  // namespace

const Variant glu_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "act=silu|clamped|gelu_tanh limit x_type=f32|bf16 y_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

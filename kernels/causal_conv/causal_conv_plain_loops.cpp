// One token after the other, plain C++ with the library's exp.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "causal_conv_variants.h"
#include "kernels/causal_conv/causal_conv.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

template <class X, class W, class Y>
void tokens(const CausalConvAxes& a, const X* x, const W* w, const X* state, Y* y, X* next) {
  const std::int64_t before = a.kernel - 1;
  // Row `token` of sequence b; null: zeros.
  const auto row = [&](std::int64_t b, std::int64_t token) -> const X* {
    if (token >= 0) return x + (b * a.q_len + token) * a.x_width;
    return state != nullptr ? state + (b * before + token + before) * a.channels : nullptr;
  };
  each_row_and_column(a.batch, a.q_len, true, [&](std::int64_t b, std::int64_t token) {
    for (std::int64_t c = 0; c < a.channels; ++c) {
      float sum = 0;
      for (std::int64_t j = 0; j < a.kernel; ++j)
        if (const X* from = row(b, token - before + j); from != nullptr)
          sum += load_f32(w + c * a.kernel + j) * load_f32(from + c);
      store_f32(y + (b * a.q_len + token) * a.channels + c, sum / (1.0f + std::exp(-sum)));
    }
  });
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (std::int64_t i = 0; i < before; ++i)
      for (std::int64_t c = 0; c < a.channels; ++c) {
        const X* from = row(b, a.q_len - before + i);
        store_f32(next + (b * before + i) * a.channels + c, from != nullptr ? load_f32(from + c) : 0.0f);
      }
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const CausalConvAxes a = causal_conv_axes(c);
  const Tensor x = t.tensor("x"), y = t.tensor("y"), next = t.tensor("next_state");
  const Tensor state = a.continued ? t.tensor("state") : Tensor{};
  const auto w = row_major(*t.weight("w"));
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(w->view().dtype, [&]<class W>(W*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation([=] { tokens(a, x.as<X>(), w->view().as<W>(), state.as<X>(), y.as<Y>(), next.as<X>()); });
      });
    });
  });
}

}  // namespace

const Variant causal_conv_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 x_width continued",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

// One token after the other, plain C++; the compiler vectorises what it can. The fallback for any machine.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/rms_norm/rms_norm.h"
#include "rms_norm_variants.h"

namespace layercost {
namespace {

template <class X, class W, class Y>
void rows(std::int64_t tokens, std::int64_t hidden, float eps, const X* x, const X* residual, const W* w,
          const Y* addend, float factor, const RmsNormFactors& times, X* sum, Y* y) {
  each_row(tokens, tokens > 1, [&](std::int64_t t) {
    const X* in = x + t * hidden;
    double squares = 0;  // double: one row has up to 2^20 terms, and a plain f32 sum would lose three digits
    for (std::int64_t h = 0; h < hidden; ++h) {
      float v = load_f32(in + h);
      if (residual != nullptr) {
        v = v * times.x + load_f32(residual + t * hidden + h) * times.residual;
        store_f32(sum + t * hidden + h, v);
        v = load_f32(sum + t * hidden + h);  // as stored: the next layer sees the rounded sum too
      }
      squares += static_cast<double>(v) * v;
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(squares / static_cast<double>(hidden)) + eps);
    const X* s = residual != nullptr ? sum + t * hidden : in;
    for (std::int64_t h = 0; h < hidden; ++h) {
      const float v = load_f32(s + h) * scale * load_f32(w + h);
      store_f32(y + t * hidden + h, addend != nullptr ? (v + load_f32(addend + t * hidden + h)) * factor : v);
      if (times.y_of_sum != 0) store_f32(sum + t * hidden + h, times.y_of_sum * v);
    }
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden");
  const float eps = static_cast<float>(c.real("eps"));
  const bool residual = c.flag("residual");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const Tensor r = residual ? t.tensor("residual") : Tensor{}, sum = residual ? t.tensor("sum") : Tensor{};
  const auto w = row_major(*t.weight("w"));
  const Tensor addend = c.flag("added") ? t.tensor("addend") : Tensor{};
  const float factor = c.flag("scaled") ? *row_major(*t.weight("scale"))->view().as<float>() : 1.0f;
  const RmsNormFactors times = rms_norm_factors(c);
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(w->view().dtype, [&]<class W>(W*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation([=] {
          rows(tokens, hidden, eps, x.as<X>(), r.as<X>(), w->view().as<W>(), addend.as<Y>(), factor, times,
               sum.as<X>(), y.as<Y>());
        });
      });
    });
  });
}

}  // namespace

const Variant rms_norm_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 residual added scaled x_times residual_times y_times",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

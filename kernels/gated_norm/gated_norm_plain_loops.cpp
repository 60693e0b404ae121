// One head after the other, plain C++ with the library's exp.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "gated_norm_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/gated_norm/gated_norm.h"

namespace layercost {
namespace {

template <class X, class W, class Y>
void heads(const GatedNormAxes& a, const X* x, const X* z, const W* w, Y* y) {
  each_row_and_column(a.tokens, a.heads, true, [&](std::int64_t token, std::int64_t h) {
    const X* in = x + token * a.width() + h * a.dim;
    const X* gate = z + (token + 1) * a.z_width - a.width() + h * a.dim;
    Y* out = y + token * a.width() + h * a.dim;
    float squares = 0;
    for (std::int64_t i = 0; i < a.dim; ++i) squares += load_f32(in + i) * load_f32(in + i);
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(a.dim) + static_cast<float>(a.eps));
    for (std::int64_t i = 0; i < a.dim; ++i) {
      const float g = load_f32(gate + i);
      store_f32(out + i, load_f32(in + i) * scale * load_f32(w + i) * (g / (1.0f + std::exp(-g))));
    }
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const GatedNormAxes a = gated_norm_axes(c);
  const Tensor x = t.tensor("x"), z = t.tensor("z"), y = t.tensor("y");
  const auto w = row_major(*t.weight("w"));
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(w->view().dtype, [&]<class W>(W*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation([=] { heads(a, x.as<X>(), z.as<X>(), w->view().as<W>(), y.as<Y>()); });
      });
    });
  });
}

}  // namespace

const Variant gated_norm_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 z_width",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

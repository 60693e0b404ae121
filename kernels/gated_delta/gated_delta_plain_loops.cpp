// Token after token, the state in next_state; plain C++ with the library's exp. Heads on threads.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "gated_delta_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/gated_delta/gated_delta.h"

namespace layercost {
namespace {

struct Tensors {
  const float *ba, *a_log, *dt_bias, *state;  // state: null without
  float *next, *scratch;                      // scratch: of every head of the batch 2 * key_dim + value_dim
};

template <class X>
void unit(const X* x, std::int64_t n, float scale, float* out) {
  float squares = 0;
  for (std::int64_t i = 0; i < n; ++i) squares += load_f32(x + i) * load_f32(x + i);
  scale /= std::sqrt(squares + static_cast<float>(kGatedDeltaEps));
  for (std::int64_t i = 0; i < n; ++i) out[i] = load_f32(x + i) * scale;
}

template <class X, class Y>
void head(const GatedDeltaAxes& a, const X* qkv, const Tensors& t, Y* y, std::int64_t b, std::int64_t h) {
  const std::int64_t dk = a.key_dim, dv = a.value_dim, at = b * a.heads + h;
  float* s = t.next + at * dk * dv;
  float *q = t.scratch + at * (2 * dk + dv), *k = q + dk, *told = k + dk;
  if (t.state != nullptr) std::copy_n(t.state + at * dk * dv, dk * dv, s);
  else std::fill_n(s, dk * dv, 0.0f);
  const float rate = std::exp(t.a_log[h]);
  for (std::int64_t token = b * a.q_len; token < (b + 1) * a.q_len; ++token) {
    const X* row = qkv + token * a.width();
    const float* ba = t.ba + token * 2 * a.heads;
    unit(row + a.q_at(h), dk, 1.0f / std::sqrt(static_cast<float>(dk)), q);
    unit(row + a.k_at(h), dk, 1.0f, k);
    const float in = ba[a.a_at(h)] + t.dt_bias[h];
    const float decay = std::exp(-rate * (in > 30 ? in : std::log1p(std::exp(in))));
    const float beta = 1.0f / (1.0f + std::exp(-ba[a.b_at(h)]));
    std::fill_n(told, dv, 0.0f);
    for (std::int64_t i = 0; i < dk; ++i)
      for (std::int64_t j = 0; j < dv; ++j) {
        s[i * dv + j] *= decay;
        told[j] += s[i * dv + j] * k[i];
      }
    for (std::int64_t j = 0; j < dv; ++j) told[j] = beta * (load_f32(row + a.v_at(h) + j) - told[j]);
    for (std::int64_t i = 0; i < dk; ++i)
      for (std::int64_t j = 0; j < dv; ++j) s[i * dv + j] += k[i] * told[j];
    std::fill_n(told, dv, 0.0f);
    for (std::int64_t i = 0; i < dk; ++i)
      for (std::int64_t j = 0; j < dv; ++j) told[j] += s[i * dv + j] * q[i];
    for (std::int64_t j = 0; j < dv; ++j) store_f32(y + (token * a.heads + h) * dv + j, told[j]);
  }
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const GatedDeltaAxes a = gated_delta_axes(c);
  const Tensor qkv = t.tensor("qkv"), y = t.tensor("y");
  const auto a_log = row_major(*t.weight("a_log")), dt_bias = row_major(*t.weight("dt_bias"));
  const auto scratch =
      std::make_shared<std::vector<float>>(static_cast<std::size_t>(a.batch * a.heads * (2 * a.key_dim + a.value_dim)));
  const Tensors tensors{t.tensor("ba").as<float>(),         a_log->view().as<float>(),
                        dt_bias->view().as<float>(),        a.continued ? t.tensor("state").as<float>() : nullptr,
                        t.tensor("next_state").as<float>(), scratch->data()};
  return dispatch_float(qkv.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype, [&]<class Y>(Y*) {
      return invocation([=] {
        (void)a_log, (void)dt_bias, (void)scratch;  // kept
        each_row_and_column(a.batch, a.heads, true, [&](std::int64_t b, std::int64_t h) {
          head(a, qkv.as<X>(), tensors, y.as<Y>(), b, h);
        });
      });
    });
  });
}

}  // namespace

const Variant gated_delta_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

// Token after token, the state in next_state; plain C++ with the library's exp. Heads on threads.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/lightning_attention/lightning_attention.h"
#include "lightning_attention_variants.h"

namespace layercost {
namespace {

struct Tensors {
  const float *slopes, *state;  // state: null without
  float *next, *scratch;        // scratch: of every head of the batch 4 * head_dim
};

template <class X>
void silu(const X* x, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = load_f32(x + i) / (1.0f + std::exp(-load_f32(x + i)));
}

template <class X, class Y>
void head(const LightningAttentionAxes& a, const X* qkv, const Tensors& t, Y* y, std::int64_t b, std::int64_t h) {
  const std::int64_t d = a.head_dim, at = b * a.heads + h;
  float* s = t.next + at * d * d;
  float *q = t.scratch + at * 4 * d, *k = q + d, *v = k + d, *sum = v + d;
  if (t.state != nullptr) std::copy_n(t.state + at * d * d, d * d, s);
  else std::fill_n(s, d * d, 0.0f);
  const float decay = std::exp(-t.slopes[h]);
  for (std::int64_t token = b * a.q_len; token < (b + 1) * a.q_len; ++token) {
    const X* row = qkv + token * a.width();
    silu(row + a.q_at(h), d, q);
    silu(row + a.k_at(h), d, k);
    silu(row + a.v_at(h), d, v);
    std::fill_n(sum, d, 0.0f);
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < d; ++j) {
        s[i * d + j] = decay * s[i * d + j] + k[i] * v[j];
        sum[j] += s[i * d + j] * q[i];
      }
    for (std::int64_t j = 0; j < d; ++j) store_f32(y + (token * a.heads + h) * d + j, sum[j]);
  }
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const Tensor qkv = t.tensor("qkv"), y = t.tensor("y");
  const auto slopes = row_major(*t.weight("slopes"));
  const auto scratch =
      std::make_shared<std::vector<float>>(static_cast<std::size_t>(a.batch * a.heads * 4 * a.head_dim));
  const Tensors tensors{slopes->view().as<float>(), a.continued ? t.tensor("state").as<float>() : nullptr,
                        t.tensor("next_state").as<float>(), scratch->data()};
  return dispatch_float(qkv.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype, [&]<class Y>(Y*) {
      return invocation([=] {
        (void)slopes, (void)scratch;  // kept
        each_row_and_column(a.batch, a.heads, true, [&](std::int64_t b, std::int64_t h) {
          head(a, qkv.as<X>(), tensors, y.as<Y>(), b, h);
        });
      });
    });
  });
}

}  // namespace

const Variant lightning_attention_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

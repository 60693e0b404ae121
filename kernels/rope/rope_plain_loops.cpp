// One head after the other, tokens and heads shared out among the threads. Plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/rope/rope.h"
#include "rope_variants.h"

namespace layercost {
namespace {

template <class X, class W, class Y>
void rotate(const RopeAxes& axes, const X* x, const W* norm, const float* cos, const float* sin, Y* out) {
  const std::int64_t d = axes.head_dim, half = axes.rotary_dims / 2;
  float scale = 1.0f;
  if (norm != nullptr) {
    float squares = 0;
    for (std::int64_t i = 0; i < d; ++i) squares += load_f32(x + i) * load_f32(x + i);
    scale = 1.0f / std::sqrt(squares / static_cast<float>(d) + static_cast<float>(axes.eps));
  }
  const auto normed = [&](std::int64_t i) {
    return norm != nullptr ? load_f32(x + i) * (scale * load_f32(norm + i)) : load_f32(x + i);
  };
  const auto turn = [&](std::int64_t one, std::int64_t other, std::int64_t i) {
    const float a = normed(one), b = normed(other);
    store_f32(out + one, a * cos[i] - b * sin[i]);
    store_f32(out + other, b * cos[i] + a * sin[i]);
  };
  if (axes.interleaved)
    for (std::int64_t i = 0; i < half; ++i) turn(2 * i, 2 * i + 1, i);
  else
    for (std::int64_t i = 0; i < half; ++i) turn(i, i + half, i);
  for (std::int64_t i = axes.rotary_dims; i < d; ++i) store_f32(out + i, normed(i));
}

template <class X, class W, class Y, class KV>
void tokens(const RopeAxes& a, const X* qkv, const float* cos, const float* sin, const W* q_norm, const W* k_norm, Y* q,
            KV* k_cache, KV* v_cache) {
  const std::int64_t d = a.head_dim, heads = a.heads + 2 * a.kv_heads;
#pragma omp parallel for schedule(static) if (a.tokens() > 1)
  for (std::int64_t i = 0; i < a.tokens() * heads; ++i) {
    const std::int64_t t = i / heads, h = i % heads, kv_h = (h - a.heads) % a.kv_heads;
    const std::int64_t first = a.position(t) * (a.rotary_dims / 2);
    const float *co = cos + first, *si = sin + first;
    const X* x = qkv + i * d;
    if (h < a.heads) {
      rotate(a, x, q_norm, co, si, q + (t * a.heads + h) * d);
    } else if (h < a.heads + a.kv_heads) {
      rotate(a, x, k_norm, co, si, k_cache + a.slot(t, kv_h));
    } else {
      for (std::int64_t j = 0; j < d; ++j) store_f32(v_cache + a.slot(t, kv_h) + j, load_f32(x + j));
    }
  }
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const RopeAxes a = rope_axes(c);
  const Tensor qkv = t.tensor("qkv"), cos = t.tensor("cos"), sin = t.tensor("sin"), q = t.tensor("q");
  const Tensor k_cache = t.tensor("k_cache"), v_cache = t.tensor("v_cache");
  const auto q_norm = a.qk_norm ? row_major(*t.weight("q_norm")) : nullptr;
  const auto k_norm = a.qk_norm ? row_major(*t.weight("k_norm")) : nullptr;
  return dispatch_float(qkv.dtype, [&]<class X>(X*) {
    return dispatch_float(c.type("w_type"), [&]<class W>(W*) {
      return dispatch_float(q.dtype, [&]<class Y>(Y*) {
        return dispatch_float(k_cache.dtype, [&]<class KV>(KV*) {
          return invocation([=] {
            tokens(a, qkv.as<X>(), cos.as<float>(), sin.as<float>(), q_norm ? q_norm->view().as<W>() : nullptr,
                   k_norm ? k_norm->view().as<W>() : nullptr, q.as<Y>(), k_cache.as<KV>(), v_cache.as<KV>());
          });
        });
      });
    });
  });
}

}  // namespace

const Variant rope_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "rotary_dims interleaved qk_norm eps x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

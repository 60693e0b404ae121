// One head after the other, tokens and heads shared out among the threads. Plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "index_rope_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/index_rope/index_rope.h"

namespace layercost {
namespace {

// `x` gives an element of a query or key as it is before it is turned.
template <class F, class Y>
void turn(const IndexRopeAxes& a, const F& x, const float* cos, const float* sin, Y* out) {
  const std::int64_t half = a.rope_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const std::int64_t one = a.interleaved ? 2 * i : i, other = a.interleaved ? 2 * i + 1 : i + half;
    const float u = x(one), v = x(other);
    store_f32(out + one, u * cos[i] - v * sin[i]);
    store_f32(out + other, v * cos[i] + u * sin[i]);
  }
  for (std::int64_t i = a.rope_dim; i < a.head_dim; ++i) store_f32(out + i, x(i));
}

template <class X, class Y, class KV>
void tokens(const IndexRopeAxes& a, const X* q, const X* k, const float* norm, const float* bias, const float* cos,
            const float* sin, Y* rotated, KV* cache) {
  const std::int64_t d = a.head_dim;
  // The last one is the cache entry.
  each_row_and_column(a.tokens(), a.heads + 1, a.tokens() > 1, [&](std::int64_t t, std::int64_t h) {
    const float *co = cos + a.position(t) * (a.rope_dim / 2), *si = sin + a.position(t) * (a.rope_dim / 2);
    if (h < a.heads) {
      const std::int64_t at = (t * a.heads + h) * d;
      turn(
          a, [&](std::int64_t i) { return load_f32(q + at + i); }, co, si, rotated + at);
      return;
    }
    const X* x = k + t * d;
    float sum = 0, squares = 0;
    for (std::int64_t i = 0; i < d; ++i) sum += load_f32(x + i);
    const float mean = sum / static_cast<float>(d);
    for (std::int64_t i = 0; i < d; ++i) squares += (load_f32(x + i) - mean) * (load_f32(x + i) - mean);
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(d) + static_cast<float>(a.eps));
    turn(
        a, [&](std::int64_t i) { return (load_f32(x + i) - mean) * (scale * norm[i]) + bias[i]; }, co, si,
        cache + a.slot(t));
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const IndexRopeAxes a = index_rope_axes(c);
  const Tensor q = t.tensor("q"), k = t.tensor("k"), cos = t.tensor("cos"), sin = t.tensor("sin");
  const Tensor rotated = t.tensor("rotated"), cache = t.tensor("index_cache");
  const auto norm = f32_values(*t.weight("norm")), bias = f32_values(*t.weight("norm_bias"));
  return dispatch_float(q.dtype, [&]<class X>(X*) {
    return dispatch_float(rotated.dtype, [&]<class Y>(Y*) {
      return dispatch_float(cache.dtype, [&]<class KV>(KV*) {
        return invocation([=] {
          tokens(a, q.as<X>(), k.as<X>(), norm->view().as<float>(), bias->view().as<float>(), cos.as<float>(),
                 sin.as<float>(), rotated.as<Y>(), cache.as<KV>());
        });
      });
    });
  });
}

}  // namespace

const Variant index_rope_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "interleaved x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

// One head after the other, tokens and heads shared out among the threads. Plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/latent_rope/latent_rope.h"
#include "latent_rope_variants.h"

namespace layercost {
namespace {

template <class X, class Y>
void rotate(const LatentRopeAxes& a, const X* x, const float* cos, const float* sin, Y* out) {
  const std::int64_t half = a.rope_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const std::int64_t one = a.interleaved ? 2 * i : i, other = a.interleaved ? 2 * i + 1 : i + half;
    const float u = load_f32(x + one), v = load_f32(x + other);
    store_f32(out + one, u * cos[i] - v * sin[i]);
    store_f32(out + other, v * cos[i] + u * sin[i]);
  }
}

template <class X, class Y, class KV>
void tokens(const LatentRopeAxes& a, const X* q, const X* kv, const float* norm, const float* cos, const float* sin,
            Y* rotated, Y* latents, KV* cache) {
  const std::int64_t d = a.head_dim();
  // The last one is the cache entry.
  each_row_and_column(a.tokens(), a.heads + 1, a.tokens() > 1, [&](std::int64_t t, std::int64_t h) {
    const float *co = cos + a.position(t) * (a.rope_dim / 2), *si = sin + a.position(t) * (a.rope_dim / 2);
    if (h < a.heads) {
      const std::int64_t at = (t * a.heads + h) * d;
      for (std::int64_t i = 0; i < a.nope_dim; ++i) store_f32(rotated + at + i, load_f32(q + at + i));
      rotate(a, q + at + a.nope_dim, co, si, rotated + at + a.nope_dim);
      return;
    }
    const X* x = kv + t * a.entry();
    KV* entry = cache + a.slot(t);
    float squares = 0;
    for (std::int64_t i = 0; i < a.latent_dim; ++i) squares += load_f32(x + i) * load_f32(x + i);
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(a.latent_dim) + static_cast<float>(a.eps));
    for (std::int64_t i = 0; i < a.latent_dim; ++i) {
      const float v = load_f32(x + i) * (scale * norm[i]);
      store_f32(entry + i, v);
      if (latents != nullptr) store_f32(latents + t * a.latent_dim + i, v);
    }
    rotate(a, x + a.latent_dim, co, si, entry + a.latent_dim);
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const Tensor q = t.tensor("q"), kv = t.tensor("kv"), cos = t.tensor("cos"), sin = t.tensor("sin");
  const Tensor rotated = t.tensor("rotated"), cache = t.tensor("latent_cache");
  const Tensor latents = a.latents ? t.tensor("latents") : Tensor{};
  const auto norm = f32_values(*t.weight("norm"));
  return dispatch_float(q.dtype, [&]<class X>(X*) {
    return dispatch_float(rotated.dtype, [&]<class Y>(Y*) {
      return dispatch_float(cache.dtype, [&]<class KV>(KV*) {
        return invocation([=] {
          tokens(a, q.as<X>(), kv.as<X>(), norm->view().as<float>(), cos.as<float>(), sin.as<float>(), rotated.as<Y>(),
                 latents.as<Y>(), cache.as<KV>());
        });
      });
    });
  });
}

}  // namespace

const Variant latent_rope_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "interleaved latents x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

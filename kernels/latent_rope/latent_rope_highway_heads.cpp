// Tasks are eight heads of one token; the cache entry counts as one more head.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/latent_rope/latent_rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/cpu/rotate-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/latent_rope/latent_rope.h"
#include "latent_rope_variants.h"

#ifndef LAYERCOST_LATENT_ROPE_HEADS
#define LAYERCOST_LATENT_ROPE_HEADS
namespace layercost {
namespace {
struct Heads {
  LatentRopeAxes a;
  const void *q, *kv, *norm;
  const float *cos, *sin;
  void *rotated, *latents, *cache;  // latents: null without
};
// Heads first .. first + count - 1 of one token, the cache entry last.
using HeadsFunction = void (*)(const Heads&, std::int64_t token, std::int64_t first, std::int64_t count);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class Pairs, class X, class W, class Y, class KV>
void heads(const Heads& r, std::int64_t token, std::int64_t first, std::int64_t count) {
  const LatentRopeAxes& a = r.a;
  const std::int64_t row = a.position(token) * (a.rope_dim / 2);
  const float *cos = r.cos + row, *sin = r.sin + row;
  const V none = hn::Zero(F32());
  for (std::int64_t h = first; h < first + count; ++h) {
    if (h < a.heads) {
      const std::int64_t at = (token * a.heads + h) * a.head_dim();
      const X* x = static_cast<const X*>(r.q) + at;
      Y* out = static_cast<Y*>(r.rotated) + at;
      pass(x, static_cast<const W*>(nullptr), none, a.nope_dim, out);
      rotate_dims<Pairs>(x + a.nope_dim, static_cast<const W*>(nullptr), none, cos, sin, a.rope_dim, out + a.nope_dim);
      continue;
    }
    const X* x = static_cast<const X*>(r.kv) + token * a.entry();
    const W* norm = static_cast<const W*>(r.norm);
    KV* entry = static_cast<KV*>(r.cache) + a.slot(token);
    const V scale = hn::Set(F32(), rms_scale(x, a.latent_dim, a.eps));
    pass(x, norm, scale, a.latent_dim, entry);
    if (r.latents != nullptr) pass(x, norm, scale, a.latent_dim, static_cast<Y*>(r.latents) + token * a.latent_dim);
    rotate_dims<Pairs>(x + a.latent_dim, static_cast<const W*>(nullptr), none, cos, sin, a.rope_dim,
                       entry + a.latent_dim);
  }
}

HeadsFunction heads_function(DType x, DType w, DType y, DType kv, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(w, [&]<class W>(W*) {
      return dispatch_float(y, [&]<class Y>(Y*) {
        return dispatch_float(kv, [&]<class KV>(KV*) {
          return interleaved ? HeadsFunction(heads<Neighbours, X, W, Y, KV>)
                             : HeadsFunction(heads<Halves, X, W, Y, KV>);
        });
      });
    });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(heads_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const auto norm = row_major(*t.weight("norm"));
  const Heads r{a,
                t.tensor("q").data,
                t.tensor("kv").data,
                norm->view().data,
                t.tensor("cos").as<float>(),
                t.tensor("sin").as<float>(),
                t.tensor("rotated").data,
                a.latents ? t.tensor("latents").data : nullptr,
                t.tensor("latent_cache").data};
  const HeadsFunction heads = HWY_DYNAMIC_DISPATCH(heads_function)(c.type("x_type"), c.type("w_type"), c.type("y_type"),
                                                                   c.type("kv_type"), a.interleaved);
  constexpr std::int64_t kTaskHeads = 8;
  const std::int64_t all = a.heads + 1;
  const bool parallel = a.tokens() * (a.heads * a.head_dim() + a.entry()) >= kSimdParallelElements;
  return invocation(
      [=, keep = norm] {
#pragma omp parallel for schedule(static) collapse(2) if (parallel)
        for (std::int64_t token = 0; token < a.tokens(); ++token)
          for (std::int64_t first = 0; first < all; first += kTaskHeads)
            heads(r, token, first, std::min(kTaskHeads, all - first));
      },
      simd_target());
}

}  // namespace

const Variant latent_rope_highway_heads{
    .name = "highway_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "interleaved latents x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif

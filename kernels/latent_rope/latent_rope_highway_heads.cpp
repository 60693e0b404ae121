// Tasks are eight heads of one token, its cache entry, and its latents.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/latent_rope/latent_rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
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
  const void *q, *kv;
  const float *norm, *cos, *sin;
  void *rotated, *latents, *cache;  // latents: null without
};
// Of one token: heads first .. first + count - 1, or its cache entry, or its latents.
using HeadsFunction = void (*)(const Heads&, std::int64_t token, std::int64_t first, std::int64_t count);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class Pairs, class X, class Y>
void rotated(const Heads& r, std::int64_t token, std::int64_t first, std::int64_t count) {
  const LatentRopeAxes& a = r.a;
  const std::int64_t row = a.position(token) * (a.rope_dim / 2);
  const V none = hn::Zero(F32());
  for (std::int64_t h = first; h < first + count; ++h) {
    const std::int64_t at = (token * a.heads + h) * a.head_dim();
    const X* x = static_cast<const X*>(r.q) + at;
    Y* out = static_cast<Y*>(r.rotated) + at;
    pass(x, static_cast<const X*>(nullptr), none, a.nope_dim, out);
    rotate_dims<Pairs>(x + a.nope_dim, static_cast<const X*>(nullptr), none, r.cos + row, r.sin + row, a.rope_dim,
                       out + a.nope_dim);
  }
}

template <class Pairs, class X, class KV>
void entry(const Heads& r, std::int64_t token, std::int64_t, std::int64_t) {
  const LatentRopeAxes& a = r.a;
  const std::int64_t row = a.position(token) * (a.rope_dim / 2);
  const X* x = static_cast<const X*>(r.kv) + token * a.entry();
  KV* out = static_cast<KV*>(r.cache) + a.slot(token);
  pass(x, r.norm, hn::Set(F32(), rms_scale(x, a.latent_dim, a.eps)), a.latent_dim, out);
  rotate_dims<Pairs>(x + a.latent_dim, static_cast<const X*>(nullptr), hn::Zero(F32()), r.cos + row, r.sin + row,
                     a.rope_dim, out + a.latent_dim);
}

template <class X, class Y>
void latents(const Heads& r, std::int64_t token, std::int64_t, std::int64_t) {
  const LatentRopeAxes& a = r.a;
  const X* x = static_cast<const X*>(r.kv) + token * a.entry();
  pass(x, r.norm, hn::Set(F32(), rms_scale(x, a.latent_dim, a.eps)), a.latent_dim,
       static_cast<Y*>(r.latents) + token * a.latent_dim);
}

// Three functions: in one there would be one for every three types, half a minute of compiling.
HeadsFunction rotated_function(DType x, DType y, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(y, [&]<class Y>(Y*) {
      return interleaved ? HeadsFunction(rotated<Neighbours, X, Y>) : HeadsFunction(rotated<Halves, X, Y>);
    });
  });
}

HeadsFunction entry_function(DType x, DType kv, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(kv, [&]<class KV>(KV*) {
      return interleaved ? HeadsFunction(entry<Neighbours, X, KV>) : HeadsFunction(entry<Halves, X, KV>);
    });
  });
}

HeadsFunction latents_function(DType x, DType y) {
  return dispatch_float(
      x, [&]<class X>(X*) { return dispatch_float(y, [&]<class Y>(Y*) { return HeadsFunction(latents<X, Y>); }); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(rotated_function);
HWY_EXPORT(entry_function);
HWY_EXPORT(latents_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const auto norm = f32_values(*t.weight("norm"));
  const Heads r{a,
                t.tensor("q").data,
                t.tensor("kv").data,
                norm->view().as<float>(),
                t.tensor("cos").as<float>(),
                t.tensor("sin").as<float>(),
                t.tensor("rotated").data,
                a.latents ? t.tensor("latents").data : nullptr,
                t.tensor("latent_cache").data};
  const DType x_type = c.type("x_type"), y_type = c.type("y_type"), kv_type = c.type("kv_type");
  const auto rotated = HWY_DYNAMIC_DISPATCH(rotated_function)(x_type, y_type, a.interleaved);
  const auto entry = HWY_DYNAMIC_DISPATCH(entry_function)(x_type, kv_type, a.interleaved);
  const auto latents = a.latents ? HWY_DYNAMIC_DISPATCH(latents_function)(x_type, y_type) : HeadsFunction(nullptr);
  constexpr std::int64_t kTaskHeads = 8;
  const std::int64_t head_tasks = (a.heads + kTaskHeads - 1) / kTaskHeads, tasks = head_tasks + (a.latents ? 2 : 1);
  const bool parallel = a.tokens() * (a.heads * a.head_dim() + a.entry()) >= kParallelElements;
  return invocation(
      [=, keep = norm] {
        each_row_and_column(a.tokens(), tasks, parallel, [&](std::int64_t token, std::int64_t task) {
          const std::int64_t first = task * kTaskHeads;
          if (task < head_tasks) rotated(r, token, first, std::min(kTaskHeads, a.heads - first));
          else (task == head_tasks ? entry : latents)(r, token, 0, 0);
        });
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

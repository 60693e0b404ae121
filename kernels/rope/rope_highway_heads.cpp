// Tasks are eight heads of one token: 64 + 2 x 8 heads of 128 dims with q/k norm take 3.4 us on one core with AVX-512,
// plain_loops 17 us.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/rope/rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/cpu/rotate-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/rope/rope.h"
#include "rope_variants.h"

#ifndef LAYERCOST_ROPE_HEADS
#define LAYERCOST_ROPE_HEADS
namespace layercost {
namespace {
struct Heads {
  RopeAxes a;
  const void* qkv;
  const float *cos, *sin;
  const void *q_norm, *k_norm;  // null without
  void *q, *k_cache, *v_cache;
};
// Heads first .. first + count - 1 of one token, in the order of qkv.
using HeadsFunction = void (*)(const Heads&, std::int64_t token, std::int64_t first, std::int64_t count);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class Pairs, class X, class W, class Y>
void rotate(const RopeAxes& axes, const X* x, const W* norm, const float* cos, const float* sin, Y* out) {
  const V scale = hn::Set(F32(), norm != nullptr ? rms_scale(x, axes.head_dim, axes.eps) : 1.0f);
  rotate_dims<Pairs>(x, norm, scale, cos, sin, axes.rotary_dims, out);
  const std::int64_t r = axes.rotary_dims;
  pass(x + r, norm != nullptr ? norm + r : nullptr, scale, axes.head_dim - r, out + r);
}

template <class Pairs, class X, class W, class Y, class KV>
void heads(const Heads& r, std::int64_t token, std::int64_t first, std::int64_t count) {
  const RopeAxes& a = r.a;
  const std::int64_t d = a.head_dim;
  const std::int64_t row = a.position(token) * (a.rotary_dims / 2);
  const float *cos = r.cos + row, *sin = r.sin + row;
  for (std::int64_t h = first; h < first + count; ++h) {
    const X* x = static_cast<const X*>(r.qkv) + (token * (a.heads + 2 * a.kv_heads) + h) * d;
    if (h < a.heads) {
      Y* q = static_cast<Y*>(r.q) + (token * a.heads + h) * d;
      rotate<Pairs>(a, x, static_cast<const W*>(r.q_norm), cos, sin, q);
    } else if (h < a.heads + a.kv_heads) {
      KV* k = static_cast<KV*>(r.k_cache) + a.slot(token, h - a.heads);
      rotate<Pairs>(a, x, static_cast<const W*>(r.k_norm), cos, sin, k);
    } else {
      KV* v = static_cast<KV*>(r.v_cache) + a.slot(token, h - a.heads - a.kv_heads);
      pass(x, static_cast<const W*>(nullptr), hn::Zero(F32()), d, v);
    }
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
  const RopeAxes a = rope_axes(c);
  const auto q_norm = a.qk_norm ? row_major(*t.weight("q_norm")) : nullptr;
  const auto k_norm = a.qk_norm ? row_major(*t.weight("k_norm")) : nullptr;
  const Heads r{a,
                t.tensor("qkv").data,
                t.tensor("cos").as<float>(),
                t.tensor("sin").as<float>(),
                a.qk_norm ? q_norm->view().data : nullptr,
                a.qk_norm ? k_norm->view().data : nullptr,
                t.tensor("q").data,
                t.tensor("k_cache").data,
                t.tensor("v_cache").data};
  const HeadsFunction heads = HWY_DYNAMIC_DISPATCH(heads_function)(c.type("x_type"), c.type("w_type"), c.type("y_type"),
                                                                   c.type("kv_type"), a.interleaved);
  constexpr std::int64_t kTaskHeads = 8;
  const std::int64_t all = a.heads + 2 * a.kv_heads;
  const bool parallel = a.tokens() * all * a.head_dim >= kSimdParallelElements;
  return invocation(
      [=] {
#pragma omp parallel for schedule(static) collapse(2) if (parallel)
        for (std::int64_t token = 0; token < a.tokens(); ++token)
          for (std::int64_t first = 0; first < all; first += kTaskHeads)
            heads(r, token, first, std::min(kTaskHeads, all - first));
      },
      simd_target());
}

}  // namespace

const Variant rope_highway_heads{
    .name = "highway_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "rotary_dims interleaved qk_norm eps x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif

// Tasks are eight heads of one token: 64 + 2 x 8 heads of 128 dims with q/k norm take 3.4 us on one core with AVX-512,
// plain_loops 17 us.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/rope/rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <cmath>

#include "kernels/contract/dispatch.h"
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

template <class X>
float rms_scale(const X* x, std::int64_t n, double eps) {
  V squares = hn::Zero(F32());
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const V v = i + kLanes <= n ? load(x + i) : load_n(x + i, n - i);
    squares = hn::MulAdd(v, v, squares);
  }
  return 1.0f / std::sqrt(sum_of_lanes(squares) / static_cast<float>(n) + static_cast<float>(eps));
}

// n lanes of the pair (i, i + half).
template <class X, class W, class Y>
HWY_INLINE void rotate_lanes(const X* x, const W* norm, V scale, const float* cos, const float* sin, std::int64_t half,
                             std::int64_t n, Y* out) {
  const bool whole = n == kLanes;
  V a = whole ? load(x) : load_n(x, n), b = whole ? load(x + half) : load_n(x + half, n);
  if (norm != nullptr) {
    a = hn::Mul(a, hn::Mul(scale, whole ? load(norm) : load_n(norm, n)));
    b = hn::Mul(b, hn::Mul(scale, whole ? load(norm + half) : load_n(norm + half, n)));
  }
  const V co = whole ? load(cos) : load_n(cos, n), si = whole ? load(sin) : load_n(sin, n);
  const V first = hn::NegMulAdd(b, si, hn::Mul(a, co)), second = hn::MulAdd(a, si, hn::Mul(b, co));
  if (whole) {
    store(first, out);
    store(second, out + half);
  } else {
    store_n(first, out, n);
    store_n(second, out + half, n);
  }
}

template <class X, class W, class Y>
void rotate(const X* x, const W* norm, double eps, const float* cos, const float* sin, std::int64_t d, Y* out) {
  const std::int64_t half = d / 2;
  const V scale = hn::Set(F32(), norm != nullptr ? rms_scale(x, d, eps) : 1.0f);
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const W* w = norm != nullptr ? norm + i : nullptr;
    if (i + kLanes <= half) rotate_lanes(x + i, w, scale, cos + i, sin + i, half, kLanes, out + i);
    else rotate_lanes(x + i, w, scale, cos + i, sin + i, half, half - i, out + i);
  }
}

template <class X, class W, class Y, class KV>
void heads(const Heads& r, std::int64_t token, std::int64_t first, std::int64_t count) {
  const RopeAxes& a = r.a;
  const std::int64_t d = a.head_dim;
  const float *cos = r.cos + a.position(token) * d / 2, *sin = r.sin + a.position(token) * d / 2;
  for (std::int64_t h = first; h < first + count; ++h) {
    const X* x = static_cast<const X*>(r.qkv) + (token * (a.heads + 2 * a.kv_heads) + h) * d;
    if (h < a.heads) {
      Y* q = static_cast<Y*>(r.q) + (token * a.heads + h) * d;
      rotate(x, static_cast<const W*>(r.q_norm), a.eps, cos, sin, d, q);
    } else if (h < a.heads + a.kv_heads) {
      KV* k = static_cast<KV*>(r.k_cache) + a.slot(token, h - a.heads);
      rotate(x, static_cast<const W*>(r.k_norm), a.eps, cos, sin, d, k);
    } else {
      KV* v = static_cast<KV*>(r.v_cache) + a.slot(token, h - a.heads - a.kv_heads);
      std::int64_t i = 0;
      for (; i + kLanes <= d; i += kLanes) store(load(x + i), v + i);
      for (; i < d; ++i) store_f32(v + i, load_f32(x + i));
    }
  }
}

HeadsFunction heads_function(DType x, DType w, DType y, DType kv) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(w, [&]<class W>(W*) {
      return dispatch_float(y, [&]<class Y>(Y*) {
        return dispatch_float(kv, [&]<class KV>(KV*) { return HeadsFunction(heads<X, W, Y, KV>); });
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
  const HeadsFunction heads =
      HWY_DYNAMIC_DISPATCH(heads_function)(c.type("x_type"), c.type("w_type"), c.type("y_type"), c.type("kv_type"));
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
    .knows = "qk_norm eps x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif

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

// n pairs: a and b are the elements p[0 .. n) and p[half .. half + n).
struct Halves {
  static constexpr std::int64_t kStride = 1;
  template <class T>
  static HWY_INLINE void load_pairs(const T* p, std::int64_t half, std::int64_t n, V& a, V& b) {
    a = n == kLanes ? load(p) : load_n(p, n);
    b = n == kLanes ? load(p + half) : load_n(p + half, n);
  }
  template <class T>
  static HWY_INLINE void store_pairs(V a, V b, T* p, std::int64_t half, std::int64_t n) {
    if (n == kLanes) {
      store(a, p);
      store(b, p + half);
    } else {
      store_n(a, p, n);
      store_n(b, p + half, n);
    }
  }
};

// n pairs: a and b are the even and the odd elements of p[0 .. 2n).
struct Neighbours {
  static constexpr std::int64_t kStride = 2;
  template <class T>
  static HWY_INLINE void load_pairs(const T* p, std::int64_t, std::int64_t n, V& a, V& b) {
    if (n == kLanes) return load_all(p, a, b);
    HWY_ALIGN T part[2 * kLanes] = {};
    for (std::int64_t i = 0; i < 2 * n; ++i) part[i] = p[i];
    load_all(part, a, b);
  }
  template <class T>
  static HWY_INLINE void store_pairs(V a, V b, T* p, std::int64_t, std::int64_t n) {
    if (n == kLanes) return store_all(a, b, p);
    HWY_ALIGN T part[2 * kLanes];
    store_all(a, b, part);
    for (std::int64_t i = 0; i < 2 * n; ++i) p[i] = part[i];
  }

 private:
  // A pair of bf16 is one word, the even element its lower half.
  static HWY_INLINE hn::Vec<U32> upper_half(hn::Vec<U32> v) { return hn::And(v, hn::Set(U32(), 0xffff0000u)); }
  static HWY_INLINE void load_all(const float* p, V& a, V& b) { hn::LoadInterleaved2(F32(), p, a, b); }
  static HWY_INLINE void load_all(const bf16* p, V& a, V& b) {
    const auto words = hn::LoadU(U32(), reinterpret_cast<const std::uint32_t*>(p));
    a = hn::BitCast(F32(), hn::ShiftLeft<16>(words));
    b = hn::BitCast(F32(), upper_half(words));
  }
  static HWY_INLINE void store_all(V a, V b, float* p) { hn::StoreInterleaved2(a, b, F32(), p); }
  static HWY_INLINE void store_all(V a, V b, bf16* p) {
    const auto words = hn::Or(hn::ShiftRight<16>(round_to_bf16(a)), upper_half(round_to_bf16(b)));
    hn::StoreU(words, U32(), reinterpret_cast<std::uint32_t*>(p));
  }
};

template <class Pairs, class X, class W, class Y>
HWY_INLINE void rotate_lanes(const X* x, const W* norm, V scale, const float* cos, const float* sin, std::int64_t half,
                             std::int64_t n, Y* out) {
  const bool whole = n == kLanes;
  V a, b;
  Pairs::load_pairs(x, half, n, a, b);
  if (norm != nullptr) {
    V norm_a, norm_b;
    Pairs::load_pairs(norm, half, n, norm_a, norm_b);
    a = hn::Mul(a, hn::Mul(scale, norm_a));
    b = hn::Mul(b, hn::Mul(scale, norm_b));
  }
  const V co = whole ? load(cos) : load_n(cos, n), si = whole ? load(sin) : load_n(sin, n);
  Pairs::store_pairs(hn::NegMulAdd(b, si, hn::Mul(a, co)), hn::MulAdd(a, si, hn::Mul(b, co)), out, half, n);
}

// n elements that are not rotated.
template <class X, class W, class Y>
HWY_INLINE void pass(const X* x, const W* norm, V scale, std::int64_t n, Y* out) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t lanes = std::min(kLanes, n - i);
    V v = lanes == kLanes ? load(x + i) : load_n(x + i, lanes);
    if (norm != nullptr) v = hn::Mul(v, hn::Mul(scale, lanes == kLanes ? load(norm + i) : load_n(norm + i, lanes)));
    if (lanes == kLanes) store(v, out + i);
    else store_n(v, out + i, lanes);
  }
}

template <class Pairs, class X, class W, class Y>
void rotate(const RopeAxes& axes, const X* x, const W* norm, const float* cos, const float* sin, Y* out) {
  const std::int64_t half = axes.rotary_dims / 2;
  const V scale = hn::Set(F32(), norm != nullptr ? rms_scale(x, axes.head_dim, axes.eps) : 1.0f);
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const std::int64_t at = i * Pairs::kStride;
    const W* w = norm != nullptr ? norm + at : nullptr;
    if (i + kLanes <= half) rotate_lanes<Pairs>(x + at, w, scale, cos + i, sin + i, half, kLanes, out + at);
    else rotate_lanes<Pairs>(x + at, w, scale, cos + i, sin + i, half, half - i, out + at);
  }
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

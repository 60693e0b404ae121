// What:    what the ops that rotate heads share: the scale of an RMSNorm, pairs as halves or neighbours, their
//          rotation, and what is passed on as it is. Each with an optional norm weight (null: none), which `scale` goes
//          with.
// Included once per instruction set: see kernels/cpu/simd.h.
// SPDX-License-Identifier: Apache-2.0
#if defined(LAYERCOST_CPU_ROTATE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LAYERCOST_CPU_ROTATE_INL_H
#undef LAYERCOST_CPU_ROTATE_INL_H
#else
#define LAYERCOST_CPU_ROTATE_INL_H
#endif

#include <algorithm>
#include <cmath>

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

// Of n values with this sum of squares.
HWY_INLINE float scale_of_squares(V squares, std::int64_t n, double eps) {
  return 1.0f / std::sqrt(sum_of_lanes(squares) / static_cast<float>(n) + static_cast<float>(eps));
}

template <class X>
float rms_scale(const X* x, std::int64_t n, double eps) {
  V squares = hn::Zero(F32());
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const V v = i + kLanes <= n ? load(x + i) : load_n(x + i, n - i);
    squares = hn::MulAdd(v, v, squares);
  }
  return scale_of_squares(squares, n, eps);
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
  static HWY_INLINE void store_all(V a, V b, fp8_e4m3* p) {
    HWY_ALIGN float both[2 * kLanes];
    store_all(a, b, both);
    store(load(both), p);
    store(load(both + kLanes), p + kLanes);
  }
  static HWY_INLINE void store_all(V a, V b, bf16* p) {
    const auto words = hn::Or(hn::ShiftRight<16>(round_to_bf16(a)), upper_half(round_to_bf16(b)));
    hn::StoreU(words, U32(), reinterpret_cast<std::uint32_t*>(p));
  }
};

// a and b become the n pairs of a and b, turned.
HWY_INLINE void turn_lanes(const float* cos, const float* sin, std::int64_t n, V& a, V& b) {
  const bool whole = n == kLanes;
  const V co = whole ? load(cos) : load_n(cos, n), si = whole ? load(sin) : load_n(sin, n);
  const V turned = hn::NegMulAdd(b, si, hn::Mul(a, co));
  b = hn::MulAdd(a, si, hn::Mul(b, co));
  a = turned;
}

template <class Pairs, class X>
HWY_INLINE void turned_lanes(const X* x, const float* cos, const float* sin, std::int64_t half, std::int64_t n, V& a,
                             V& b) {
  Pairs::load_pairs(x, half, n, a, b);
  turn_lanes(cos, sin, n, a, b);
}

template <class Pairs, class X, class W, class Y>
HWY_INLINE void rotate_lanes(const X* x, const W* norm, V scale, const float* cos, const float* sin, std::int64_t half,
                             std::int64_t n, Y* out) {
  V a, b;
  Pairs::load_pairs(x, half, n, a, b);
  if (norm != nullptr) {
    V norm_a, norm_b;
    Pairs::load_pairs(norm, half, n, norm_a, norm_b);
    a = hn::Mul(a, hn::Mul(scale, norm_a));
    b = hn::Mul(b, hn::Mul(scale, norm_b));
  }
  turn_lanes(cos, sin, n, a, b);
  Pairs::store_pairs(a, b, out, half, n);
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

// The first `dims` elements of x rotated by cos and sin, [dims / 2] each.
template <class Pairs, class X, class W, class Y>
HWY_INLINE void rotate_dims(const X* x, const W* norm, V scale, const float* cos, const float* sin, std::int64_t dims,
                            Y* out) {
  const std::int64_t half = dims / 2;
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const std::int64_t at = i * Pairs::kStride;
    const W* w = norm != nullptr ? norm + at : nullptr;
    if (i + kLanes <= half) rotate_lanes<Pairs>(x + at, w, scale, cos + i, sin + i, half, kLanes, out + at);
    else rotate_lanes<Pairs>(x + at, w, scale, cos + i, sin + i, half, half - i, out + at);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#endif

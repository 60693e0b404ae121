// What:    what highway_decode and highway_blocks share: the step of the running softmax, and calls by tile size.
// Included once per instruction set: see kernels/cpu/simd.h.
// SPDX-License-Identifier: Apache-2.0
#if defined(LAYERCOST_ATTENTION_HIGHWAY_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LAYERCOST_ATTENTION_HIGHWAY_INL_H
#undef LAYERCOST_ATTENTION_HIGHWAY_INL_H
#else
#define LAYERCOST_ATTENTION_HIGHWAY_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/attention_highway.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {

static_assert(kLanes <= 16, "scratch rows are padded to 16 lanes and to 32 for pairs");
constexpr float kInfinity = std::numeric_limits<float>::infinity();
// AVX-512 and NEON have 32 vector registers, the others 16.
constexpr bool kManyRegisters = kLanes == 16 || HWY_ARCH_ARM_A64;

// f<n>(), 1 <= n <= kMax
template <int kMax, class F>
HWY_INLINE void with_size(std::int64_t n, const F& f) {
  if constexpr (kMax > 1)
    if (n < kMax) return with_size<kMax - 1>(n, f);
  f.template operator()<kMax>();
}

// One row's scores of a block of keys to weights, in place; keys outside first .. end - 1 get 0. Moves the row's
// maximum and sum; `factor` is what its earlier weighted values must be multiplied with.
HWY_INLINE void soften(float* s, std::int64_t first, std::int64_t end, float& max, float& sum, float& factor) {
  const F32 d;
  if (first > 0) std::fill_n(s, std::min(first, kKeysPerBlock), -kInfinity);
  if (end < kKeysPerBlock) std::fill(s + std::max<std::int64_t>(end, 0), s + kKeysPerBlock, -kInfinity);
  V m = load(s);
  for (std::int64_t j = kLanes; j < kKeysPerBlock; j += kLanes) m = hn::Max(m, load(s + j));
  const float new_max = std::max(max, max_of_lanes(m));
  // While a row has seen no key its maximum is -inf, and exp(-inf - -inf) would be NaN.
  const float shift = new_max == -kInfinity ? 0.0f : new_max;
  factor = new_max > max ? std::exp(max - shift) : 1.0f;
  V total = hn::Zero(d);
  for (std::int64_t j = 0; j < kKeysPerBlock; j += kLanes) {
    const V p = hn::Exp(d, hn::Sub(load(s + j), hn::Set(d, shift)));
    store(p, s + j);
    total = hn::Add(total, p);
  }
  sum = sum * factor + sum_of_lanes(total);
  max = new_max;
}

}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#endif

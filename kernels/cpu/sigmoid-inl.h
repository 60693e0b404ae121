// What:    products with a sigmoid in vectors, for the ops that gate something.
// Included once per instruction set: see kernels/cpu/simd.h.
// SPDX-License-Identifier: Apache-2.0
#if defined(LAYERCOST_CPU_SIGMOID_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LAYERCOST_CPU_SIGMOID_INL_H
#undef LAYERCOST_CPU_SIGMOID_INL_H
#else
#define LAYERCOST_CPU_SIGMOID_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {

// v / (1 + exp(exponent)); exponent = -x: v sigmoid(x).
HWY_INLINE V over_one_plus_exp(V v, V exponent) {
  const F32 d;
  // Highway's Exp is defined up to 104; from 88 on the quotient is below 1e-36 of v either way.
  const V e = hn::Exp(d, hn::Min(exponent, hn::Set(d, 88.0f)));
  return hn::Div(v, hn::Add(hn::Set(d, 1.0f), e));
}
HWY_INLINE V times_sigmoid(V v, V x) { return over_one_plus_exp(v, hn::Neg(x)); }
HWY_INLINE V silu(V v) { return times_sigmoid(v, v); }

}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#endif

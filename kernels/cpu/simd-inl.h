// What:    loads, stores and sums that the Highway variants share. f32 vectors; bf16 is widened by a shift and rounded
//          to nearest even (Highway 1.0 truncates). fp8_e4m3, a cache's, is widened in vectors, and rounded one by one:
//          a step reads a cache and writes a token.
// Included once per instruction set: see kernels/cpu/simd.h.
// SPDX-License-Identifier: Apache-2.0
#if defined(LAYERCOST_CPU_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LAYERCOST_CPU_SIMD_INL_H
#undef LAYERCOST_CPU_SIMD_INL_H
#else
#define LAYERCOST_CPU_SIMD_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using U32 = hn::ScalableTag<std::uint32_t>;
using I32 = hn::RebindToSigned<F32>;
using U16 = hn::Rebind<std::uint16_t, F32>;  // as many lanes as F32
using V = hn::Vec<F32>;
inline constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(F32()));

HWY_INLINE V load(const float* p) { return hn::LoadU(F32(), p); }
HWY_INLINE V load(const bf16* p) {
  const auto bits = hn::PromoteTo(U32(), hn::LoadU(U16(), reinterpret_cast<const std::uint16_t*>(p)));
  return hn::BitCast(F32(), hn::ShiftLeft<16>(bits));
}

// The e4m3 code in the upper 8 bits of each lane; NaN codes give 480. Exponent and mantissa 20 bits up have f32's
// places and 120 less of its bias: f. Without exponent (a subnormal) f is 2^-7 (1 + m / 8), the value 2^-6 m / 8 = 2 f
// - 2^-6: no step has an f32 subnormal, which would be slow or taken for zero.
HWY_INLINE V e4m3_to_f32(hn::Vec<U32> v) {
  const U32 d;
  const auto magnitude = hn::And(hn::ShiftRight<4>(v), hn::Set(d, 0x07f00000));
  const V f = hn::BitCast(F32(), hn::Add(magnitude, hn::Set(d, 120u << 23)));
  const auto subnormal = hn::Lt(hn::BitCast(I32(), magnitude), hn::Set(I32(), 0x00800000));
  const V more = hn::IfThenElseZero(hn::RebindMask(F32(), subnormal), hn::Sub(f, hn::Set(F32(), 0.015625f)));
  return hn::Or(hn::Add(f, more), hn::BitCast(F32(), hn::And(v, hn::Set(d, 0x80000000u))));
}
HWY_INLINE V load(const fp8_e4m3* p) {
  const U32 d;
  const hn::Rebind<std::uint8_t, F32> bytes;
  const auto codes = hn::PromoteTo(d, hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(p)));
  const auto is_nan = hn::Eq(hn::And(codes, hn::Set(d, 127)), hn::Set(d, 127));
  const auto nan = hn::IfThenElseZero(is_nan, hn::Set(d, 0x7fc00000));
  return hn::Or(e4m3_to_f32(hn::ShiftLeft<24>(codes)), hn::BitCast(F32(), nan));
}

// The upper 16 bits of every lane hold the rounded value.
HWY_INLINE hn::Vec<U32> round_to_bf16(V v) {
  const U32 d;
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff)));
  const auto quiet_nan = hn::Or(bits, hn::Set(d, 0x400000));
  return hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(v)), quiet_nan, rounded);
}

HWY_INLINE void store(V v, float* p) { hn::StoreU(v, F32(), p); }
HWY_INLINE void store(V v, bf16* p) {
  const auto bits = hn::BitCast(hn::RebindToSigned<U32>(), hn::ShiftRight<16>(round_to_bf16(v)));
  hn::StoreU(hn::DemoteTo(U16(), bits), U16(), reinterpret_cast<std::uint16_t*>(p));
}

HWY_INLINE void store(V v, fp8_e4m3* p) {
  HWY_ALIGN float values[kLanes];
  hn::Store(v, F32(), values);
  for (std::int64_t i = 0; i < kLanes; ++i) store_f32(p + i, values[i]);
}

// The value as a store to this type and a load would return it.
HWY_INLINE V as_stored(V v, const float*) { return v; }
HWY_INLINE V as_stored(V v, const bf16*) {
  return hn::BitCast(F32(), hn::And(round_to_bf16(v), hn::Set(U32(), 0xffff0000u)));
}

// The first n < kLanes lanes. Through memory: a masked load reads past the end on instruction sets below AVX.
template <class T>
HWY_INLINE V load_n(const T* p, std::int64_t n) {
  HWY_ALIGN T part[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) part[i] = p[i];
  return load(part);
}
template <class T>
HWY_INLINE void store_n(V v, T* p, std::int64_t n) {
  HWY_ALIGN T part[kLanes];
  store(v, part);
  for (std::int64_t i = 0; i < n; ++i) p[i] = part[i];
}

HWY_INLINE float sum_of_lanes(V v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }
HWY_INLINE float max_of_lanes(V v) { return hn::GetLane(hn::MaxOfLanes(F32(), v)); }

}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#endif

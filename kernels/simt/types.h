// What:    element and vector types of kernels, the same under nvcc and under the host compiler.
//          bf16: as kernels/core/dtype.h has it (that header is C++20, kernels are C++17); rounds to nearest even.
//          Vec16: 16 bytes, the widest access a thread makes.
//          Pair: two floats, the two halves of a packed register; `lo` is the element at the lower address.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/simt/launch.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#define SIMT_INLINE __device__ __forceinline__
#define SIMT_NEVER() __builtin_unreachable()  // behind a switch that names every type
#else
#define SIMT_INLINE inline
#define SIMT_NEVER() __builtin_trap()
#endif

namespace layercost {
namespace simt {

struct bf16 {
  std::uint16_t bits;
};

struct fp8_e4m3 {
  std::uint8_t bits;
};

struct alignas(16) Vec16 {
  std::uint32_t word[4];
};

struct Pair {
  float lo, hi;
};

SIMT_INLINE float as_float(std::uint32_t bits) {
#if defined(__CUDACC__)
  return __uint_as_float(bits);
#else
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
#endif
}

SIMT_INLINE std::uint32_t as_bits(float v) {
#if defined(__CUDACC__)
  return __float_as_uint(v);
#else
  std::uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return bits;
#endif
}

SIMT_INLINE float to_float(float v) { return v; }
SIMT_INLINE float to_float(bf16 v) { return as_float(static_cast<std::uint32_t>(v.bits) << 16); }

SIMT_INLINE float to_float(fp8_e4m3 v) {
  const std::uint32_t magnitude = v.bits & 127u, sign = static_cast<std::uint32_t>(v.bits & 128u) << 24;
  // Exponent and mantissa have f32's places 20 bits up, and 120 less of its bias; below 8 there is no exponent.
  std::uint32_t bits = (magnitude << 20) + (120u << 23);
  if (magnitude < 8) bits = as_bits(static_cast<float>(magnitude) * 0.001953125f);
  if (magnitude == 127) bits = 0x7fc00000u;
  return as_float(bits | sign);
}
// Rounds to nearest even and saturates at +-448.
SIMT_INLINE fp8_e4m3 to_fp8_e4m3(float v) {
  const std::uint32_t u = as_bits(v), sign = u >> 24 & 128u;
  std::uint32_t bits = u & 0x7fffffffu;
  if (bits > 0x7f800000u) return {127};
  if (bits >= 0x43e00000u) bits = 126;                                                   // from 448 on
  else if (bits < 0x3c800000u) bits = as_bits(as_float(bits) + 16384.0f) - 0x46800000u;  // below 2^-6: steps of 2^-9
  else bits = ((bits + 0x7ffffu + (bits >> 20 & 1u)) >> 20) - (120u << 3);
  return {static_cast<std::uint8_t>(bits | sign)};
}

SIMT_INLINE bf16 to_bf16(float v) {
#if defined(__CUDACC__)
  return {__bfloat16_as_ushort(__float2bfloat16_rn(v))};
#else
  const std::uint32_t u = as_bits(v);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};  // as the hardware's conversion: one NaN
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
#endif
}

// store(p, v) rounds to the type of *p.
SIMT_INLINE void store(float* p, float v) { *p = v; }
SIMT_INLINE void store(bf16* p, float v) { *p = to_bf16(v); }
SIMT_INLINE void store(fp8_e4m3* p, float v) { *p = to_fp8_e4m3(v); }

// The value v has after it was stored in T.
template <class T>
SIMT_INLINE float rounded_to(float v);
template <>
SIMT_INLINE float rounded_to<float>(float v) {
  return v;
}
template <>
SIMT_INLINE float rounded_to<bf16>(float v) {
  return to_float(to_bf16(v));
}

SIMT_INLINE std::uint32_t pack(float lo, float hi) {
#if defined(__CUDACC__)
  const __nv_bfloat162 both = __floats2bfloat162_rn(lo, hi);
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(both.x)) |
         static_cast<std::uint32_t>(__bfloat16_as_ushort(both.y)) << 16;
#else
  return static_cast<std::uint32_t>(to_bf16(lo).bits) | static_cast<std::uint32_t>(to_bf16(hi).bits) << 16;
#endif
}

SIMT_INLINE Pair unpack(std::uint32_t two_bf16) { return {as_float(two_bf16 << 16), as_float(two_bf16 & 0xffff0000u)}; }

}  // namespace simt
}  // namespace layercost

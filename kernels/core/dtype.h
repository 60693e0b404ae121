// What:    the element types and their conversions.
//          f32   IEEE binary32.            f64  IEEE binary64: references only, never timed.
//          bf16  1 sign, 8 exponent, 7 mantissa bits, the upper half of an f32. f32 -> bf16 rounds to nearest even; NaN
//                stays NaN (quiet bit set). Largest finite 3.3895e38.
//          i32   two's complement: positions, expert ids, offsets.
//          fp8_e4m3  1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, 0x7f is NaN, largest 448: caches. f32
//                -> fp8_e4m3 rounds to nearest even and saturates.
// Source:  Intel, "BFLOAT16 - Hardware Numerics Definition", rev. 1.0, November 2018; OCP 8-bit Floating Point
//          Specification 1.0, 2023.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace layercost {

enum class DType : std::uint8_t { f32, bf16, f64, i32, fp8_e4m3 };

// A value of the enumeration that has no name; logic_error. Switches over types name every one and have no default: the
// compiler then finds each place that a new type must be added to (cmake/warnings.cmake).
[[noreturn]] void no_such_type(DType);

constexpr std::size_t size_of(DType t) {
  switch (t) {
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::fp8_e4m3:
      return 1;
  }
  no_such_type(t);
}

std::string_view to_string(DType);
DType dtype_from(std::string_view);  // BadCase on an unknown word

struct bf16 {
  std::uint16_t bits = 0;
};

inline float to_f32(bf16 v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16); }

inline bf16 to_bf16(float v) {
  const auto u = std::bit_cast<std::uint32_t>(v);
  if ((u & 0x7fffffffu) > 0x7f800000u) return bf16{static_cast<std::uint16_t>((u >> 16) | 0x40u)};
  return bf16{static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

// As bits. Rounds to nearest even and saturates at +-448; NaN is 0x7f.
std::uint8_t to_e4m3(float);
float from_e4m3(std::uint8_t);

struct fp8_e4m3 {
  std::uint8_t bits = 0;
};

// One spelling for templates over the storage types.
inline float load_f32(const float* p) { return *p; }
inline float load_f32(const bf16* p) { return to_f32(*p); }
inline float load_f32(const fp8_e4m3* p) { return from_e4m3(p->bits); }
inline void store_f32(float* p, float v) { *p = v; }
inline void store_f32(bf16* p, float v) { *p = to_bf16(v); }
inline void store_f32(fp8_e4m3* p, float v) { p->bits = to_e4m3(v); }

template <class T>
inline constexpr DType dtype_of = T::is_no_element_type;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<fp8_e4m3> = DType::fp8_e4m3;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;

}  // namespace layercost

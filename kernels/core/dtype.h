// What:    the element types and their conversions.
//          f32   IEEE binary32.            f64  IEEE binary64: references only, never timed.
//          bf16  1 sign, 8 exponent, 7 mantissa bits, the upper half of an f32. f32 -> bf16 rounds to nearest even; NaN
//                stays NaN (quiet bit set). Largest finite 3.3895e38.
//          i32   two's complement: positions, expert ids, offsets.
// Source:  Intel, "BFLOAT16 - Hardware Numerics Definition", rev. 1.0, November 2018.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace layercost {

enum class DType : std::uint8_t { f32, bf16, f64, i32 };

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

// One spelling for templates over the two float storage types.
inline float load_f32(const float* p) { return *p; }
inline float load_f32(const bf16* p) { return to_f32(*p); }
inline void store_f32(float* p, float v) { *p = v; }
inline void store_f32(bf16* p, float v) { *p = to_bf16(v); }

template <class T>
inline constexpr DType dtype_of = T::is_no_element_type;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;

}  // namespace layercost

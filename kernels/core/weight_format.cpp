// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/weight_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr float kMostE4m3 = 448.0f, kMostE2m1 = 6.0f;

// value = (-1)^s 2^(e - 7) (1 + m / 8), e = 0: 2^-6 m / 8.
constexpr std::array kE4m3Values = [] {
  std::array<float, 256> out{};
  for (int code = 0; code < 256; ++code) {
    const int e = (code >> 3) & 15, m = code & 7;
    float v = e == 0 ? static_cast<float>(m) / 8 : 1 + static_cast<float>(m) / 8;
    for (int i = e == 0 ? 1 : e; i < 7; ++i) v /= 2;
    for (int i = 7; i < e; ++i) v *= 2;
    if ((code & 127) == 127) v = std::numeric_limits<float>::quiet_NaN();
    out[static_cast<std::size_t>(code)] = code < 128 ? v : -v;
  }
  return out;
}();
constexpr std::array<float, 16> kE2m1Values = {0,     0.5f,  1,     1.5f,  2,     3,     4,     6,
                                               -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
template <std::size_t kCount>
constexpr std::array<float, kCount> whole_numbers(int first) {
  std::array<float, kCount> out{};
  for (std::size_t i = 0; i < kCount; ++i) out[i] = static_cast<float>(first + static_cast<int>(i));
  return out;
}
constexpr auto kFromMinus8 = whole_numbers<16>(-8), kFrom0 = whole_numbers<16>(0);
constexpr auto k32From0 = whole_numbers<32>(0);
constexpr auto k64FromMinus32 = whole_numbers<64>(-32);
constexpr std::array kInt8Values = [] {
  std::array<float, 256> out{};
  for (int code = 0; code < 256; ++code)
    out[static_cast<std::size_t>(code)] = static_cast<float>(code < 128 ? code : code - 256);
  return out;
}();

template <class T>
T load(const std::byte* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
void store(std::byte* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

float most_of(const float* v, std::int64_t n) {
  float most = 0;
  for (std::int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(v[i]));
  return most;
}

// Nearest integer from `least` to `most`, even ones first; both below 2^22. Adding 1.5 * 2^23 leaves no bits behind the
// point: where nearbyint is a call, encoding takes four times as long.
int nearest(float v, int least, int most) {
  constexpr float kShift = 12582912.0f;
  const float within = std::clamp(v, static_cast<float>(least), static_cast<float>(most));
  return std::bit_cast<std::int32_t>(within + kShift) - std::bit_cast<std::int32_t>(kShift);
}

// Element i of a row of codes; in ascending order, as what a byte holds of later ones is written with them.
template <int kBits>
void set_code(std::byte* codes, std::int64_t i, int code) {
  const std::int64_t bit = i * kBits;
  const int shift = static_cast<int>(bit % 8);
  const auto c = static_cast<unsigned>(code) << shift;
  if (shift == 0) codes[bit / 8] = static_cast<std::byte>(c);
  else codes[bit / 8] |= static_cast<std::byte>(c);
  if (shift + kBits > 8) codes[bit / 8 + 1] = static_cast<std::byte>(c >> 8);
}
void set_nibble(std::byte* codes, std::int64_t i, int code) { set_code<4>(codes, i, code); }

int to_e2m1(float v) {
  const float a = std::abs(v);
  // Halfway between two neighbours goes to the one whose code is even.
  constexpr float kHalfway[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
  int code = 0;
  for (int i = 0; i < 7; ++i) code += a > kHalfway[i] || (a == kHalfway[i] && i % 2 == 1);
  return code | (std::signbit(v) ? 8 : 0);
}

// f(first element, count, block) for the blocks of a row.
template <class F>
void for_blocks(std::int64_t columns, std::int64_t block, const F& f) {
  for (std::int64_t b = 0; b * block < columns; ++b) f(b * block, std::min(block, columns - b * block), b);
}

void encode_fp8_block128(const float* values, std::int64_t rows, std::int64_t columns, float, std::byte* codes,
                         std::byte* scales) {
  for_blocks(columns, 128, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    float most = 0;
    for (std::int64_t r = 0; r < rows; ++r) most = std::max(most, most_of(values + r * columns + begin, count));
    const float scale = most > 0 ? most / kMostE4m3 : 1.0f;
    store(scales + 4 * b, scale);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = begin; c < begin + count; ++c)
        codes[r * columns + c] = static_cast<std::byte>(to_e4m3(values[r * columns + c] / scale));
  });
}

void encode_fp8_channel(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes,
                        std::byte* scales) {
  const float most = most_of(values, columns), scale = most > 0 ? most / kMostE4m3 : 1.0f;
  store(scales, scale);
  for (std::int64_t c = 0; c < columns; ++c) codes[c] = static_cast<std::byte>(to_e4m3(values[c] / scale));
}

// The power of two that brings the largest magnitude to 4 .. 8, of which what is above 6 saturates (OCP MX 1.0, 6.3).
void encode_mxfp4(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes, std::byte* scales) {
  for_blocks(columns, 32, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    const float most = most_of(values + begin, count);
    const int exponent = most > 0 ? std::clamp(std::ilogb(most) - 2, -126, 127) : -126;
    scales[b] = static_cast<std::byte>(exponent + 127);
    const float inverse = std::ldexp(1.0f, -exponent);
    for (std::int64_t i = begin; i < begin + count; ++i) set_nibble(codes, i, to_e2m1(values[i] * inverse));
  });
}

void encode_nvfp4(const float* values, std::int64_t, std::int64_t columns, float factor, std::byte* codes,
                  std::byte* scales) {
  for_blocks(columns, 16, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    const std::uint8_t code = to_e4m3(most_of(values + begin, count) / kMostE2m1 / factor);
    scales[b] = static_cast<std::byte>(code);
    const float scale = from_e4m3(code) * factor, inverse = scale > 0 ? 1 / scale : 0;
    for (std::int64_t i = begin; i < begin + count; ++i) set_nibble(codes, i, to_e2m1(values[i] * inverse));
  });
}
float nvfp4_factor(float most) { return most > 0 ? most / (kMostE4m3 * kMostE2m1) : 1.0f; }

template <int kGroup>
void encode_int4(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes, std::byte* scales) {
  for_blocks(columns, kGroup, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    const float most = most_of(values + begin, count);
    const float scale = most > 0 ? from_f16(to_f16(most / 7)) : 1.0f, inverse = scale > 0 ? 1 / scale : 0;
    store(scales + 4 * b, scale);
    for (std::int64_t i = begin; i < begin + count; ++i) set_nibble(codes, i, nearest(values[i] * inverse, -8, 7) + 8);
  });
}

template <int kGroup>
void encode_int4_zp(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes,
                    std::byte* scales) {
  for_blocks(columns, kGroup, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    float least = 0, most = 0;
    for (std::int64_t i = begin; i < begin + count; ++i) {
      least = std::min(least, values[i]);
      most = std::max(most, values[i]);
    }
    const float scale = most > least ? from_f16(to_f16((most - least) / 15)) : 1.0f,
                inverse = scale > 0 ? 1 / scale : 0;
    const int zero = nearest(-least * inverse, 0, 15);
    store(scales + 8 * b, scale);
    store(scales + 8 * b + 4, static_cast<float>(zero - 8));
    for (std::int64_t i = begin; i < begin + count; ++i)
      set_nibble(codes, i, std::clamp(nearest(values[i] * inverse, -16, 16) + zero, 0, 15));
  });
}

void encode_q8_0(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes, std::byte* scales) {
  for_blocks(columns, 32, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    const std::uint16_t d = to_f16(most_of(values + begin, count) / 127);
    store(scales + 2 * b, d);
    const float scale = from_f16(d), inverse = scale > 0 ? 1 / scale : 0;
    for (std::int64_t i = begin; i < begin + count; ++i)
      codes[i] = static_cast<std::byte>(nearest(values[i] * inverse, -127, 127));
  });
}

// The element of the largest magnitude, with its sign, is -8 of the scale.
void encode_q4_0(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes, std::byte* scales) {
  for_blocks(columns, 32, [&](std::int64_t begin, std::int64_t count, std::int64_t b) {
    float most = 0;
    for (std::int64_t i = begin; i < begin + count; ++i)
      if (std::abs(values[i]) > std::abs(most)) most = values[i];
    const std::uint16_t d = to_f16(most / -8);
    store(scales + 2 * b, d);
    const float scale = from_f16(d), inverse = scale != 0 ? 1 / scale : 0;
    for (std::int64_t i = begin; i < begin + count; ++i) set_nibble(codes, i, nearest(values[i] * inverse, -8, 7) + 8);
  });
}

struct SixBits {
  int scale, minimum;
};
SixBits q4_k_six_bits(const std::byte* packed, std::int64_t j) {
  const auto at = [&](std::int64_t i) { return static_cast<int>(packed[i]); };
  if (j < 4) return {at(j) & 63, at(j + 4) & 63};
  return {(at(j + 4) & 15) | (at(j - 4) >> 6) << 4, at(j + 4) >> 4 | (at(j) >> 6) << 4};
}
void set_q4_k_six_bits(std::byte* packed, std::int64_t j, SixBits v) {
  const auto put = [&](std::int64_t i, int bits) { packed[i] |= static_cast<std::byte>(bits); };
  if (j < 4) return put(j, v.scale), put(j + 4, v.minimum);
  put(j + 4, (v.scale & 15) | (v.minimum & 15) << 4);
  put(j - 4, v.scale >> 4 << 6), put(j, v.minimum >> 4 << 6);
}

// Each 32 elements from their least (or 0) to their largest in 15 or 31 steps; no search for a better fit.
template <int kBits>
void encode_q45_k(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes, std::byte* scales) {
  constexpr int kSteps = (1 << kBits) - 1;
  for_blocks(columns, 256, [&](std::int64_t begin, std::int64_t, std::int64_t b) {
    std::array<float, 8> step{}, below{};
    for (std::size_t j = 0; j < 8; ++j) {
      const float* v = values + begin + 32 * static_cast<std::int64_t>(j);
      const float least = std::min(0.0f, *std::min_element(v, v + 32)), most = *std::max_element(v, v + 32);
      step[j] = std::max(0.0f, most - least) / kSteps, below[j] = -least;
    }
    const std::uint16_t d = to_f16(*std::max_element(step.begin(), step.end()) / 63),
                        minimum = to_f16(*std::max_element(below.begin(), below.end()) / 63);
    std::byte* block = scales + 16 * b;
    std::memset(block, 0, 16);
    store(block, d), store(block + 2, minimum);
    const float scale = from_f16(d), offset = from_f16(minimum);
    for (std::size_t j = 0; j < 8; ++j) {
      const SixBits six{scale > 0 ? nearest(step[j] / scale, 0, 63) : 0,
                        offset > 0 ? nearest(below[j] / offset, 0, 63) : 0};
      set_q4_k_six_bits(block + 4, static_cast<std::int64_t>(j), six);
      const float s = scale * static_cast<float>(six.scale), inverse = s > 0 ? 1 / s : 0,
                  o = offset * static_cast<float>(six.minimum);
      for (std::int64_t i = begin + 32 * static_cast<std::int64_t>(j), n = 0; n < 32; ++i, ++n)
        set_code<kBits>(codes, i, nearest((values[i] + o) * inverse, 0, kSteps));
    }
  });
}

// Of each 16 elements the one of the largest magnitude, with its sign, is -32 of their scale, of the scales the largest
// -128 of theirs; no search for a better fit.
void encode_q6_k(const float* values, std::int64_t, std::int64_t columns, float, std::byte* codes, std::byte* scales) {
  for_blocks(columns, 256, [&](std::int64_t begin, std::int64_t, std::int64_t b) {
    const auto by_size = [](float x, float y) { return std::abs(x) < std::abs(y); };
    std::array<float, 16> step{};
    for (std::size_t j = 0; j < 16; ++j) {
      const float* v = values + begin + 16 * static_cast<std::int64_t>(j);
      step[j] = *std::max_element(v, v + 16, by_size) / -32;
    }
    const std::uint16_t d = to_f16(*std::max_element(step.begin(), step.end(), by_size) / -128);
    std::byte* block = scales + 18 * b;
    store(block, d);
    const float scale = from_f16(d);
    for (std::size_t j = 0; j < 16; ++j) {
      const int six = scale != 0 ? nearest(step[j] / scale, -128, 127) : 0;
      block[2 + j] = static_cast<std::byte>(six);
      const float s = scale * static_cast<float>(six), inverse = s != 0 ? 1 / s : 0;
      for (std::int64_t i = begin + 16 * static_cast<std::int64_t>(j), n = 0; n < 16; ++i, ++n)
        set_code<6>(codes, i, nearest(values[i] * inverse, -32, 31) + 32);
    }
  });
}

Affine affine_f32(const std::byte* s, std::int64_t) { return {.scale = load<float>(s)}; }
Affine affine_f32_zero(const std::byte* s, std::int64_t) {
  return {.scale = load<float>(s), .zero = load<float>(s + 4)};
}
Affine affine_f16(const std::byte* s, std::int64_t) { return {.scale = from_f16(load<std::uint16_t>(s))}; }
Affine affine_e8m0(const std::byte* s, std::int64_t) { return {.scale = from_e8m0(static_cast<std::uint8_t>(*s))}; }
Affine affine_e4m3(const std::byte* s, std::int64_t) { return {.scale = from_e4m3(static_cast<std::uint8_t>(*s))}; }
Affine affine_q4_k(const std::byte* s, std::int64_t group) {
  const SixBits six = q4_k_six_bits(s + 4, group);
  return {.scale = from_f16(load<std::uint16_t>(s)) * static_cast<float>(six.scale),
          .offset = from_f16(load<std::uint16_t>(s + 2)) * static_cast<float>(six.minimum)};
}
Affine affine_q6_k(const std::byte* s, std::int64_t group) {
  return {.scale = from_f16(load<std::uint16_t>(s)) * static_cast<float>(static_cast<std::int8_t>(s[2 + group]))};
}

// Of GGUF: blocks of 256 of a row.
constexpr WeightFormat k_quant(std::string_view name, int bits, std::int64_t group, std::int64_t scale_bytes,
                               const float* table, decltype(WeightFormat::affine) affine,
                               decltype(WeightFormat::encode) encode) {
  return {.name = name,
          .values = DType::f32,
          .code_bits = bits,
          .block_rows = 1,
          .block_columns = 256,
          .group_columns = group,
          .scale_bytes = scale_bytes,
          .stored_scale_bytes = static_cast<double>(scale_bytes),
          .whole_blocks = true,
          .table = table,
          .affine = affine,
          .encode = encode};
}

constexpr WeightFormat int4(std::string_view name, std::int64_t group, bool zero,
                            decltype(WeightFormat::encode) encode) {
  return {.name = name,
          .values = DType::f32,
          .code_bits = 4,
          .block_rows = 1,
          .block_columns = group,
          .group_columns = group,
          .scale_bytes = zero ? 8 : 4,
          .stored_scale_bytes = zero ? 2.5 : 2,
          .whole_blocks = true,
          .table = kFromMinus8.data(),
          .affine = zero ? affine_f32_zero : affine_f32,
          .encode = encode};
}

// THE list of formats.
constexpr WeightFormat kFormats[] = {
    {.name = "f32", .values = DType::f32, .code_bits = 32},
    {.name = "bf16", .values = DType::bf16, .code_bits = 16},
    {.name = "fp8_block128",
     .values = DType::f32,
     .code_bits = 8,
     .block_rows = 128,
     .block_columns = 128,
     .group_columns = 128,
     .scale_bytes = 4,
     .stored_scale_bytes = 4,
     .table = kE4m3Values.data(),
     .affine = affine_f32,
     .encode = encode_fp8_block128},
    {.name = "fp8_channel",
     .values = DType::f32,
     .code_bits = 8,
     .block_rows = 1,
     .block_columns = WeightFormat::kWholeRow,
     .group_columns = WeightFormat::kWholeRow,
     .scale_bytes = 4,
     .stored_scale_bytes = 4,
     .table = kE4m3Values.data(),
     .affine = affine_f32,
     .encode = encode_fp8_channel},
    {.name = "mxfp4",
     .values = DType::f32,
     .code_bits = 4,
     .block_rows = 1,
     .block_columns = 32,
     .group_columns = 32,
     .scale_bytes = 1,
     .stored_scale_bytes = 1,
     .whole_blocks = true,
     .table = kE2m1Values.data(),
     .affine = affine_e8m0,
     .encode = encode_mxfp4},
    {.name = "nvfp4",
     .values = DType::f32,
     .code_bits = 4,
     .block_rows = 1,
     .block_columns = 16,
     .group_columns = 16,
     .scale_bytes = 1,
     .stored_scale_bytes = 1,
     .has_factor = true,
     .whole_blocks = true,
     .table = kE2m1Values.data(),
     .affine = affine_e4m3,
     .factor_for = nvfp4_factor,
     .encode = encode_nvfp4},
    int4("int4_g128", 128, false, encode_int4<128>),
    int4("int4_g128_zp", 128, true, encode_int4_zp<128>),
    int4("int4_g32", 32, false, encode_int4<32>),
    int4("int4_g32_zp", 32, true, encode_int4_zp<32>),
    {.name = "q8_0",
     .values = DType::f32,
     .code_bits = 8,
     .block_rows = 1,
     .block_columns = 32,
     .group_columns = 32,
     .scale_bytes = 2,
     .stored_scale_bytes = 2,
     .whole_blocks = true,
     .table = kInt8Values.data(),
     .affine = affine_f16,
     .encode = encode_q8_0},
    {.name = "q4_0",
     .values = DType::f32,
     .code_bits = 4,
     .block_rows = 1,
     .block_columns = 32,
     .group_columns = 32,
     .scale_bytes = 2,
     .stored_scale_bytes = 2,
     .whole_blocks = true,
     .table = kFromMinus8.data(),
     .affine = affine_f16,
     .encode = encode_q4_0},
    k_quant("q4_k", 4, 32, 16, kFrom0.data(), affine_q4_k, encode_q45_k<4>),
    k_quant("q5_k", 5, 32, 16, k32From0.data(), affine_q4_k, encode_q45_k<5>),
    k_quant("q6_k", 6, 16, 18, k64FromMinus32.data(), affine_q6_k, encode_q6_k),
};

}  // namespace

std::span<const WeightFormat> weight_formats() { return kFormats; }

double WeightFormat::bytes(const Shape& s) const {
  const std::int64_t columns = s.back(), rows = s.size() < 2 ? 1 : s[s.size() - 2];
  std::int64_t matrices = 1;
  for (std::size_t i = 0; i + 2 < s.size(); ++i) matrices *= s[i];
  return static_cast<double>(matrices) * bytes(rows, columns);
}

double WeightFormat::held_bytes(const Shape& s) const {
  if (is_plain()) return bytes(s);
  const std::int64_t columns = s.back(), rows = s.size() < 2 ? 1 : s[s.size() - 2];
  const auto matrices = static_cast<double>(elements_of(s) / (rows * columns));
  return bytes(s) + matrices * static_cast<double>(rows * row_bytes(columns) + blocks_of(rows, columns) * scale_bytes);
}

void WeightFormat::expect_columns(std::int64_t columns) const {
  if (whole_blocks && columns % block_columns != 0) {
    throw BadCase(
        fmt::format("weight format {}: rows of {} elements; expected a multiple of {}, the elements that share "
                    "a scale",
                    name, columns, block_columns));
  }
}

const WeightFormat& weight_format(std::string_view name) {
  std::vector<std::string> known;
  for (const WeightFormat& f : weight_formats()) {
    if (f.name == name) return f;
    known.emplace_back(f.name);
  }
  throw BadCase(fmt::format("unknown weight format '{}'{}; known are: {}", printable(name), did_you_mean(name, known),
                            fmt::join(known, ", ")));
}

const WeightFormat& weight_format(DType t) { return weight_format(to_string(t)); }

std::uint8_t to_e4m3(float v) {
  if (std::isnan(v)) return 0x7f;
  const std::uint8_t sign = std::signbit(v) ? 0x80 : 0;
  const float a = std::min(std::abs(v), kMostE4m3);
  if (a < 0.015625f) return static_cast<std::uint8_t>(sign | nearest(a * 512, 0, 8));  // steps of 2^-9 below 2^-6
  // Three bits behind the leading one; a carry lands on the next power of two.
  std::uint32_t u = std::bit_cast<std::uint32_t>(a);
  u += 0x7ffffu + ((u >> 20) & 1u);
  return static_cast<std::uint8_t>(sign | ((u >> 20) - ((127u - 7u) << 3)));
}

float from_e4m3(std::uint8_t code) { return kE4m3Values[code]; }

std::uint16_t to_f16(float v) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(v) ? 0x8000 : 0);
  if (std::isnan(v)) return sign | 0x7e00;
  const float a = std::abs(v);
  if (a >= 65520) return sign | 0x7c00;  // halfway from 65504 to 65536
  // Steps of 2^-24 below 2^-14, of 2^-10 of the power of two from there on; a carry lands on the next power.
  const int e = std::max(std::ilogb(std::max(a, 1e-30f)), -14);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(a, 10 - e)));
  return static_cast<std::uint16_t>(sign | (((e + 14) << 10) + steps));
}

float from_f16(std::uint16_t bits) {
  const int e = (bits >> 10) & 31, m = bits & 1023;
  const float v = e == 31  ? (m == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN())
                  : e == 0 ? std::ldexp(static_cast<float>(m), -24)
                           : std::ldexp(static_cast<float>(1024 + m), e - 25);
  return (bits & 0x8000) != 0 ? -v : v;
}

float from_e8m0(std::uint8_t code) {
  return code == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, code - 127);
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/weight_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr float kMostE4m3 = 448.0f;

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

void encode_fp8_block128(const float* values, std::int64_t rows, std::int64_t columns, std::byte* codes,
                         float* scales) {
  for (std::int64_t begin = 0; begin < columns; begin += 128) {
    const std::int64_t end = std::min(columns, begin + 128);
    float most = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = begin; c < end; ++c) most = std::max(most, std::abs(values[r * columns + c]));
    const float scale = most > 0 ? most / kMostE4m3 : 1.0f;
    scales[begin / 128] = scale;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = begin; c < end; ++c)
        codes[r * columns + c] = static_cast<std::byte>(to_e4m3(values[r * columns + c] / scale));
  }
}

void decode_fp8_block128(const std::byte* codes, const float* scales, std::int64_t first, std::int64_t count,
                         float* values) {
  for (std::int64_t i = 0; i < count; ++i)
    values[i] = from_e4m3(static_cast<std::uint8_t>(codes[first + i])) * scales[(first + i) / 128];
}

// THE list of formats.
constexpr WeightFormat kFormats[] = {
    {"f32", DType::f32, 4},
    {"bf16", DType::bf16, 2},
    {"fp8_block128", DType::f32, 1, 128, 128, encode_fp8_block128, decode_fp8_block128},
};

}  // namespace

std::span<const WeightFormat> weight_formats() { return kFormats; }

double WeightFormat::bytes(const Shape& s) const {
  const std::int64_t columns = s.back(), rows = s.size() < 2 ? 1 : s[s.size() - 2];
  std::int64_t matrices = 1;
  for (std::size_t i = 0; i + 2 < s.size(); ++i) matrices *= s[i];
  return static_cast<double>(matrices) * bytes(rows, columns);
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
  // Steps of 2^-9 below 2^-6, of an eighth of the power of two from there on; a carry lands on the next power.
  const int e = std::max(std::ilogb(std::max(a, 1e-30f)), -6);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(a, 3 - e)));  // 8 .. 16, below 8 if subnormal
  return static_cast<std::uint8_t>(sign | (((e + 6) << 3) + steps));
}

float from_e4m3(std::uint8_t code) { return kE4m3Values[code]; }

}  // namespace layercost

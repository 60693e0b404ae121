// Weight formats against numbers worked out by hand and a search over all codes.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/weight_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "kernels/contract/weight.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// OCP 8-bit floating point specification, table 2: E4M3.
TEST(E4m3, ValuesOfTheSpecification) {
  EXPECT_EQ(from_e4m3(0x00), 0.0f);
  EXPECT_TRUE(std::signbit(from_e4m3(0x80)));
  EXPECT_EQ(from_e4m3(0x01), std::ldexp(1.0f, -9));    // least subnormal
  EXPECT_EQ(from_e4m3(0x07), std::ldexp(0.875f, -6));  // largest subnormal
  EXPECT_EQ(from_e4m3(0x08), std::ldexp(1.0f, -6));    // least normal
  EXPECT_EQ(from_e4m3(0x38), 1.0f);
  EXPECT_EQ(from_e4m3(0x7e), 448.0f);  // largest
  EXPECT_EQ(from_e4m3(0xfe), -448.0f);
  EXPECT_TRUE(std::isnan(from_e4m3(0x7f)) && std::isnan(from_e4m3(0xff)));
}

// The nearest of all 254 numbers; of two equally near ones the one with an even code.
TEST(E4m3, RoundsToTheNearest) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-12, 9.2f), mantissa(1, 2);
  std::vector<float> values = {0,
                               448,
                               449,
                               1e9f,
                               463.9f,
                               464,
                               480,
                               std::ldexp(1.0f, -10),
                               std::ldexp(1.01f, -10),
                               std::ldexp(1.5f, -9),
                               17,
                               19,
                               0.9375f,
                               0.96875f,
                               15.5f,
                               15.75f};
  for (int i = 0; i < 20000; ++i) values.push_back(std::ldexp(mantissa(random), static_cast<int>(exponent(random))));
  for (const float v : values)
    for (const float x : {v, -v}) {
      int best = -1;
      double distance = INFINITY;
      for (int code = x < 0 || std::signbit(x) ? 128 : 0, end = code + 127; code < end; ++code) {
        const double d = std::abs(static_cast<double>(from_e4m3(static_cast<std::uint8_t>(code))) - x);
        if (d < distance || (d == distance && code % 2 == 0)) best = code, distance = d;
      }
      ASSERT_EQ(to_e4m3(x), best) << x;
    }
  EXPECT_EQ(to_e4m3(NAN), 0x7f);
  EXPECT_EQ(to_e4m3(INFINITY), 0x7e);
}

TEST(WeightFormats, BytesByHand) {
  const WeightFormat& f = weight_format("fp8_block128");
  EXPECT_EQ(f.bytes(128, 128), 16384 + 4);
  EXPECT_EQ(f.bytes(129, 257), 129 * 257 + 4 * 2 * 3);
  EXPECT_EQ(f.bytes({3, 129, 257}), 3 * (129 * 257 + 4 * 2 * 3));  // matrices share no block
  EXPECT_EQ(weight_format("bf16").bytes(3, 5), 30);
  EXPECT_EQ(weight_format("f32").bytes({7}), 28);
  // A DeepSeek-V3 expert: 3 x 7168 x 2048 codes and 3 x 56 x 16 scales.
  EXPECT_EQ(f.bytes(2 * 2048, 7168) + f.bytes(7168, 2048), 44040192 + 4 * 2688);
}

TEST(WeightFormats, UnknownNamesAreAnswered) {
  try {
    weight_format("fp8_blok128");
    FAIL();
  } catch (const BadCase& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'fp8_block128'?"), std::string::npos) << e.what();
  }
}

// Two matrices of 130 x 260: every block has its own scale, its largest element exactly 448 of it, and what is read is
// code x scale, however it is read.
TEST(Fp8Block128, EveryBlockHasItsScale) {
  constexpr std::int64_t kRows = 130, kColumns = 260;
  const auto value = [](std::int64_t i) {
    const std::int64_t row = i / kColumns, column = i % kColumns;
    const double size = std::pow(2.0, static_cast<double>(row / 65) + 3.0 * static_cast<double>(column / 128));
    return static_cast<float>(size * (1 + static_cast<double>((i * 7919) % 1000)) / 1000 * (i % 3 == 0 ? -1 : 1));
  };
  const Weight w(weight_format("fp8_block128"), {2, kRows, kColumns},
                 [&](std::int64_t first, std::int64_t n, void* out) {
                   for (std::int64_t i = 0; i < n; ++i) static_cast<float*>(out)[i] = value(first + i);
                 });
  const OwnedTensor whole = w.whole();
  const CodedWeight& coded = w.coded();
  ASSERT_EQ(coded.scales.bytes(), 2 * 2 * 3 * sizeof(float));
  ASSERT_EQ(coded.codes.bytes(), static_cast<std::size_t>(2 * kRows * kColumns));
  for (std::int64_t matrix = 0; matrix < 2; ++matrix)
    for (std::int64_t br = 0; br < 2; ++br)
      for (std::int64_t bc = 0; bc < 3; ++bc) {
        float most = 0;
        const auto each = [&](auto&& f) {
          for (std::int64_t r = br * 128; r < std::min(kRows, (br + 1) * 128); ++r)
            for (std::int64_t c = bc * 128; c < std::min(kColumns, (bc + 1) * 128); ++c)
              f((matrix * kRows + r) * kColumns + c);
        };
        each([&](std::int64_t i) { most = std::max(most, std::abs(value(i))); });
        const float scale = coded.scales.as<float>()[(matrix * 2 + br) * 3 + bc];
        EXPECT_EQ(scale, most / 448);
        each([&](std::int64_t i) {
          const float read = whole.view().as<float>()[i];
          EXPECT_EQ(read, from_e4m3(coded.codes.as<std::uint8_t>()[i]) * scale);
          // Half a step: 2^-4 of the number, or of the least normal one.
          ASSERT_LE(std::abs(read - value(i)),
                    std::max(std::abs(value(i)) / 16, scale * std::ldexp(1.0f, -10)) * 1.001f);
        });
      }
  float part[500];
  w.read(kColumns - 3, 500, part);  // over three rows
  for (int i = 0; i < 500; ++i) EXPECT_EQ(part[i], whole.view().as<float>()[kColumns - 3 + i]);
}

TEST(Fp8Block128, ABlockOfZerosStaysZero) {
  const Weight w(weight_format("fp8_block128"), {4, 4},
                 [](std::int64_t, std::int64_t n, void* out) { std::fill_n(static_cast<float*>(out), n, 0.0f); });
  for (std::int64_t i = 0; i < 16; ++i) EXPECT_EQ(w.whole().view().load(i), 0.0);
}

// Whatever the format: a variant and its reference decode the same codes, so only this sees a wrong encoder.
TEST(WeightFormats, WhatIsReadIsNearWhatWasWrittenAndStaysSo) {
  constexpr std::int64_t kRows = 150, kColumns = 300;
  for (const WeightFormat& f : weight_formats()) {
    if (f.is_plain()) continue;
    SCOPED_TRACE(f.name);
    std::vector<float> written(2 * kRows * kColumns);
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (float& v : written) v = normal(random);
    const auto coded = [&](const std::vector<float>& values) {
      const Weight w(f, {2, kRows, kColumns}, [&](std::int64_t first, std::int64_t n, void* out) {
        std::copy_n(values.data() + first, n, static_cast<float*>(out));
      });
      const OwnedTensor whole = w.whole();
      return std::vector<float>(whole.view().as<float>(), whole.view().as<float>() + values.size());
    };
    const std::vector<float> read = coded(written);
    double error = 0, size = 0;
    for (std::size_t i = 0; i < read.size(); ++i) {
      error += std::pow(read[i] - written[i], 2);
      size += std::pow(written[i], 2);
    }
    // The codes of a byte: 2.6 % for three bits behind the leading one. Nothing that is wrong comes near.
    EXPECT_LT(std::sqrt(error / size), 0.05 * std::pow(2.0, 8 - 8 * static_cast<double>(f.code_bytes)));
    EXPECT_GT(error, 0);
    const std::vector<float> again = coded(read);
    for (std::size_t i = 0; i < read.size(); ++i) ASSERT_NEAR(again[i], read[i], 1e-6 * std::abs(read[i])) << i;
  }
}

}  // namespace
}  // namespace layercost

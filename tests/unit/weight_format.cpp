// Weight formats against numbers worked out by hand and a search over all codes.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/weight_format.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// What the codes of one row stand for, worked out by hand from the definitions.
std::vector<float> decoded(const char* format, std::int64_t columns, const std::vector<int>& codes,
                           const std::vector<int>& scales, float factor = 1) {
  CodedWeight w(weight_format(format), {1, columns});
  EXPECT_LE(codes.size(), w.codes.bytes());
  EXPECT_EQ(scales.size(), w.scales.bytes());
  for (std::size_t i = 0; i < codes.size(); ++i) w.codes.data()[i] = static_cast<std::byte>(codes[i]);
  for (std::size_t i = 0; i < scales.size(); ++i) w.scales.data()[i] = static_cast<std::byte>(scales[i]);
  if (w.format->has_factor) w.factors[0] = factor;
  std::vector<float> out(static_cast<std::size_t>(columns));
  w.decode(0, 0, columns, out.data());
  return out;
}

TEST(WeightFormats, CodesByHand) {
  // Low half first. e2m1 0x1 is 0.5, 0xf is -6, 0x7 is 6, 0x8 is -0; e8m0 129 is 4.
  const std::vector<float> mx = decoded("mxfp4", 32, {0xf1, 0x87, 0x25}, {129});
  EXPECT_EQ(std::vector(mx.begin(), mx.begin() + 6), (std::vector<float>{2, -24, 24, 0, 12, 4}));
  EXPECT_TRUE(std::signbit(mx[3]));
  // e4m3 0x40 is 2; with the factor 0.25 the scale is 0.5; the second block's 0x30 is 0.5, times 0.25.
  std::vector<int> codes(16, 0);
  codes[0] = 0x37, codes[8] = 0x37;
  const std::vector<float> nv = decoded("nvfp4", 32, codes, {0x40, 0x30}, 0.25f);
  EXPECT_EQ(nv[0], 3.0f);
  EXPECT_EQ(nv[1], 0.75f);
  EXPECT_EQ(nv[16], 0.75f);
  EXPECT_EQ(nv[17], 0.1875f);
  // f16 0x3800 is 0.5. Codes count from -8.
  const std::vector<float> q4 = decoded("q4_0", 32, {0xf0, 0x98}, {0x00, 0x38});
  EXPECT_EQ(std::vector(q4.begin(), q4.begin() + 5), (std::vector<float>{-4, 3.5, 0, 0.5, -4}));
  const std::vector<float> q8 = decoded("q8_0", 32, {0x7f, 0x81, 0x00, 0xff}, {0x00, 0x38});
  EXPECT_EQ(std::vector(q8.begin(), q8.begin() + 4), (std::vector<float>{63.5, -63.5, 0, -0.5}));
  // f32 0.25 is 0x3e800000, 3.0 0x40400000.
  const std::vector<float> i4 = decoded("int4_g32", 32, {0xf0}, {0, 0, 0x80, 0x3e});
  EXPECT_EQ(std::vector(i4.begin(), i4.begin() + 3), (std::vector<float>{-2, 1.75, -2}));
  const std::vector<float> zp = decoded("int4_g32_zp", 32, {0xf0}, {0, 0, 0x80, 0x3e, 0, 0, 0x40, 0x40});
  EXPECT_EQ(std::vector(zp.begin(), zp.begin() + 2), (std::vector<float>{-2.75, 1.0}));
  // d 1, minimum 0.5 (f16 0x3c00, 0x3800). Six bits by hand: scales 1 2 3 4 | 21 34 50 63, minima 5 6 7 8 | 10 25
  // 40 60. Byte j: scale j | upper two bits of scale 4 + j; byte 4 + j: the same of the minima; byte 8 + j: the low
  // four of both.
  const std::vector<int> six = {1 | 1 << 6, 2 | 2 << 6, 3 | 3 << 6,  4 | 3 << 6, 5 | 0 << 6, 6 | 1 << 6,
                                7 | 2 << 6, 8 | 3 << 6, 5 | 10 << 4, 2 | 9 << 4, 2 | 8 << 4, 15 | 12 << 4};
  std::vector<int> scales = {0x00, 0x3c, 0x00, 0x38};
  scales.insert(scales.end(), six.begin(), six.end());
  const std::vector<float> k = decoded("q4_k", 256, std::vector<int>(128, 0xa2), scales);
  const float s[] = {1, 2, 3, 4, 21, 34, 50, 63}, m[] = {5, 6, 7, 8, 10, 25, 40, 60};
  for (std::size_t j = 0; j < 8; ++j) {
    EXPECT_EQ(k[32 * j], 2 * s[j] - m[j] / 2) << j;
    EXPECT_EQ(k[32 * j + 31], 10 * s[j] - m[j] / 2) << j;
  }
  // The same scales. Of 5 bits, 0 9 18 27 4 13 22 31 lowest first: 0x 09<<5 | 18<<10 | 27<<15 | 4<<20 | 13<<25 | ...
  std::vector<int> five(160, 0);
  const int eight[] = {0x20, 0xc9, 0x4d, 0x9a, 0xfd};
  std::copy_n(eight, 5, five.begin());
  std::copy_n(eight, 5, five.begin() + 155);
  const std::vector<float> k5 = decoded("q5_k", 256, five, scales);
  const float five_codes[] = {0, 9, 18, 27, 4, 13, 22, 31};
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(k5[i], five_codes[i] * 1 - 2.5f) << i;
    EXPECT_EQ(k5[248 + i], five_codes[i] * 63 - 30) << i;
  }
  // d 0.5; scales of 16 elements 1, -128, 127, ..., the last -1. Of 6 bits, 0 63 33 31 lowest first; they count from
  // -32.
  std::vector<int> q6_scales = {0x00, 0x38, 1, 0x80, 127};
  q6_scales.resize(17, 3);
  q6_scales.push_back(255);
  std::vector<int> six_bits(192, 0);
  for (const std::size_t at : {0u, 12u, 24u, 189u})
    six_bits[at] = 0xc0, six_bits[at + 1] = 0x1f, six_bits[at + 2] = 0x7e;
  const std::vector<float> k6 = decoded("q6_k", 256, six_bits, q6_scales);
  const auto four_from = [&](std::size_t i) { return std::vector(k6.begin() + i, k6.begin() + i + 4); };
  EXPECT_EQ(four_from(0), (std::vector<float>{-16, 15.5, 0.5, -0.5}));
  EXPECT_EQ(four_from(16), (std::vector<float>{2048, -1984, -64, 64}));
  EXPECT_EQ(four_from(32), (std::vector<float>{-2032, 1968.5, 63.5, -63.5}));
  EXPECT_EQ(four_from(252), (std::vector<float>{16, -15.5, -0.5, 0.5}));
  // e4m3 0x7e is 448; one scale for the row.
  const std::vector<float> channel = decoded("fp8_channel", 300, {0x7e, 0x38}, {0, 0, 0x80, 0x3e});
  EXPECT_EQ(channel[0], 112);
  EXPECT_EQ(channel[1], 0.25f);
}

TEST(WeightFormats, RowsThatEndInsideABlock) {
  for (const char* name : {"q4_k", "q5_k", "q6_k", "mxfp4", "nvfp4", "int4_g128", "q8_0"})
    EXPECT_THROW(CodedWeight(weight_format(name), {2, 200}), BadCase) << name;
}

TEST(F16, ValuesOfTheStandard) {
  EXPECT_EQ(from_f16(0x3c00), 1.0f);
  EXPECT_EQ(from_f16(0x7bff), 65504.0f);
  EXPECT_EQ(from_f16(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(from_f16(0xc000), -2.0f);
  EXPECT_TRUE(std::isinf(from_f16(0x7c00)) && std::isnan(from_f16(0x7e00)));
  for (int code = 0; code < 0x7c00; ++code) ASSERT_EQ(to_f16(from_f16(static_cast<std::uint16_t>(code))), code);
  EXPECT_EQ(to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(to_f16(1.0f + std::ldexp(1.0f, -11)), 0x3c00);      // halfway: even
  EXPECT_EQ(to_f16(1.0f + 3 * std::ldexp(1.0f, -11)), 0x3c02);  // halfway: even
  EXPECT_EQ(to_f16(1e-9f), 0);
}

// Whatever the format: a variant and its reference decode the same codes, so only this sees a wrong encoder. Relative
// errors of normal values: 0.115 of mxfp4 and 0.086 of q4_0 are what the PyPI package gguf 0.19 gives.
TEST(WeightFormats, WhatIsReadIsNearWhatWasWritten) {
  struct Expected {
    const char* format;
    double error, of;
    bool stays = true;  // encoded once more it is the same
  };
  constexpr std::int64_t kRows = 150, kColumns = 512;
  std::vector<Expected> expected = {
      {"fp8_block128", 0.0265, 0.001}, {"fp8_channel", 0.0265, 0.001},       {"mxfp4", 0.115, 0.003},
      {"nvfp4", 0.095, 0.005},         {"int4_g128", 0.116, 0.003},          {"int4_g128_zp", 0.10, 0.005, false},
      {"int4_g32", 0.0975, 0.002},     {"int4_g32_zp", 0.078, 0.005, false}, {"q8_0", 0.0052, 0.0005},
      {"q4_0", 0.086, 0.002},          {"q4_k", 0.078, 0.005, false},        {"q5_k", 0.038, 0.003, false},
      {"q6_k", 0.019, 0.002, false}};
  for (const WeightFormat& f : weight_formats()) {
    if (f.is_plain()) continue;
    const auto known =
        std::find_if(expected.begin(), expected.end(), [&](const Expected& e) { return e.format == f.name; });
    // One without a row here: nothing that is wrong comes near.
    const Expected e = known != expected.end() ? *known : Expected{f.name.data(), 0.08, 0.08, false};
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
    EXPECT_NEAR(std::sqrt(error / size), e.error, e.of);
    if (!e.stays) continue;
    const std::vector<float> again = coded(read);
    for (std::size_t i = 0; i < read.size(); ++i) ASSERT_NEAR(again[i], read[i], 1e-6 * std::abs(read[i])) << i;
  }
}

}  // namespace
}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/coded_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

DeviceCodes kind_of(const WeightFormat& f) {
  if (f.code_bits == 8) return f.table[0x7e] == 448 ? DeviceCodes::e4m3 : DeviceCodes::int8;
  return f.table[1] == 0.5f ? DeviceCodes::e2m1 : DeviceCodes::int4;
}

template <class To, class From>
bool all_fit(const std::vector<float>& scales, To&& to, From&& from) {
  return std::all_of(scales.begin(), scales.end(), [&](float s) { return from(to(s)) == s; });
}

// Bytes into the device's memory, as many words as hold them.
OwnedTensor uploaded(const std::vector<std::byte>& bytes, Runtime& runtime) {
  const auto words = static_cast<std::int64_t>((bytes.size() + 3) / 4);
  OwnedTensor host(DType::i32, {words}), device = runtime.tensor(DType::i32, {words});
  std::memcpy(host.view().data, bytes.data(), bytes.size());
  runtime.upload(device, host);
  runtime.constant(device);
  return device;
}

}  // namespace

std::string coded_rows_why_not(const WeightFormat& f, std::int64_t rows, std::int64_t columns) {
  if (f.is_plain()) return "needs a weight format with scales";
  if (f.block_columns != f.group_columns) return fmt::format("takes no scales of scales, which {} has", f.name);
  if (columns % 16 != 0) return "needs k to be a multiple of 16";
  if (std::max(rows, columns) > std::numeric_limits<int>::max() / 256) return "takes n and k of up to 2^23";
  return "";
}

CodedRows::CodedRows(const CodedWeight& w, Runtime& runtime) {
  const WeightFormat& f = *w.format;
  const bool four = f.code_bits == 4, has_zeros = f.scale_bytes == 8;
  const std::int64_t group = std::min<std::int64_t>(f.group_columns, kCodedChunk), parts = four ? 1 : 2;
  const std::int64_t tiles = (w.rows + kCodedRows - 1) / kCodedRows,
                     chunks = (w.columns + kCodedChunk - 1) / kCodedChunk, groups = kCodedChunk / group;
  view_ = {nullptr,
           nullptr,
           nullptr,
           nullptr,
           kind_of(f),
           DeviceScales::f32,
           static_cast<int>(w.rows),
           static_cast<int>(w.columns),
           static_cast<int>(tiles),
           static_cast<int>(chunks),
           static_cast<int>(group)};
  const std::int64_t all_tiles = w.matrices * tiles;
  std::vector<std::byte> codes(static_cast<std::size_t>(all_tiles * chunks * parts * 1024));
  std::vector<float> scales(static_cast<std::size_t>(all_tiles * chunks * kCodedRows * groups));
  std::vector<std::byte> zeros(has_zeros ? scales.size() : 0);
  std::vector<std::byte> raw(f.scale_bytes == 1 ? scales.size() : 0);  // scales of a byte stay as they are
  each_piece(all_tiles, [&](int, std::int64_t t, std::int64_t) {
    for (std::int64_t r = 0; r < kCodedRows; ++r) {
      const std::int64_t row_of_matrix = t % tiles * kCodedRows + r;
      if (row_of_matrix >= w.rows) continue;
      const std::int64_t row = t / tiles * w.rows + row_of_matrix, half = r / 8, g = r % 8;
      const auto* from = reinterpret_cast<const std::uint8_t*>(w.codes_of(row));
      const auto code = [&](std::int64_t k) -> std::uint32_t {
        if (k >= w.columns) return 0;
        return !four ? from[k] : k % 2 == 0 ? from[k / 2] & 15u : from[k / 2] >> 4u;
      };
      for (std::int64_t c = 0; c < chunks; ++c) {
        for (std::int64_t part = 0; part < parts; ++part)
          for (std::int64_t q = 0; q < 4; ++q) {
            std::array<std::uint32_t, 4> words{};
            for (std::int64_t word = 0; word < 4; ++word)
              for (std::int64_t j = 0; j < 4; ++j) {
                constexpr std::array kNibble = {0, 4, 1, 5}, kByte = {0, 2, 1, 3};
                const auto at = static_cast<std::size_t>(j), into = static_cast<std::size_t>(word);
                if (four)
                  for (std::int64_t m = 0; m < 2; ++m)
                    words[into] |= code(c * 128 + 32 * word + 16 * m + 4 * q + j) << (4 * (2 * m + kNibble[at]));
                else words[into] |= code(c * 128 + 64 * part + 16 * word + 4 * q + j) << (8 * kByte[at]);
              }
            std::memcpy(codes.data() + ((((t * chunks + c) * parts + part) * 2 + half) * 32 + 4 * g + q) * 16,
                        words.data(), 16);
          }
        for (std::int64_t i = 0; i < groups; ++i) {
          const std::int64_t k = c * kCodedChunk + i * group;
          if (k >= w.columns) continue;
          const auto to = static_cast<std::size_t>(((t * chunks + c) * kCodedRows + r) * groups + i);
          const std::byte* s = w.scales_of(row) + k / f.block_columns * f.scale_bytes;
          const Affine a = f.affine(s, 0);
          scales[to] = a.scale;
          if (!raw.empty()) raw[to] = *s;
          if (has_zeros) zeros[to] = static_cast<std::byte>(static_cast<int>(a.zero) + 8);
        }
      }
    }
  });
  const auto sixteen = [&](const auto& to) {
    std::vector<std::byte> out(2 * scales.size());
    for (std::size_t i = 0; i < scales.size(); ++i) {
      const std::uint16_t bits = to(scales[i]);
      std::memcpy(out.data() + 2 * i, &bits, 2);
    }
    return out;
  };
  const auto bf16_bits = [](float v) { return to_bf16(v).bits; };
  std::vector<std::byte> stored;
  if (!raw.empty()) {
    view_.scale_kind = f.has_factor ? DeviceScales::e4m3 : DeviceScales::e8m0;
    stored = std::move(raw);
  } else if (f.block_rows == 1 && f.block_columns != WeightFormat::kWholeRow && all_fit(scales, to_f16, from_f16)) {
    view_.scale_kind = DeviceScales::f16;
    stored = sixteen(to_f16);
  } else if (f.block_rows == 1 && f.block_columns != WeightFormat::kWholeRow &&
             all_fit(scales, bf16_bits, [](std::uint16_t b) { return to_f32(bf16{b}); })) {
    view_.scale_kind = DeviceScales::bf16;
    stored = sixteen(bf16_bits);
  } else {
    stored.resize(4 * scales.size());
    std::memcpy(stored.data(), scales.data(), stored.size());
  }
  codes_ = uploaded(codes, runtime);
  view_.codes = codes_.view().data;
  scales_ = uploaded(stored, runtime);
  view_.scales = scales_.view().data;
  if (has_zeros) {
    zeros_ = uploaded(zeros, runtime);
    view_.zeros = zeros_.view().data;
  }
  if (!w.factors.empty()) {
    std::vector<std::byte> bytes(4 * w.factors.size());
    std::memcpy(bytes.data(), w.factors.data(), bytes.size());
    factors_ = uploaded(bytes, runtime);
    view_.factors = static_cast<const float*>(factors_.view().data);
  }
}

std::shared_ptr<const CodedRows> CodedRows::of(const Weight& w, Runtime& runtime) {
  return w.packed<CodedRows>("coded rows " + runtime.device().id,
                             [&] { return std::make_shared<const CodedRows>(w.coded(), runtime); });
}

}  // namespace layercost

// What:    how a constant matrix is stored: one row of the list in weight_format.cpp each. Everything that has to know
//          a format (bytes, memory, synthetic weights, checkpoints, references, products, --weights-format) reads it
//          off its row.
//            f32, bf16                   every element by itself
//            fp8_block128                e4m3 codes, an f32 scale for every 128 x 128 elements: DeepSeek-V3's
//            fp8_channel                 e4m3 codes, an f32 scale for every row: compressed-tensors "channel"
//            mxfp4                       e2m1 codes, an e8m0 scale for every 32 of a row: OCP MX; gpt-oss, Kimi-K3
//            nvfp4                       e2m1 codes, an e4m3 scale for every 16 of a row, an f32 factor per matrix
//            int4_g128, int4_g32         codes 0 .. 15 that stand for -8 .. 7, a 16-bit scale for 128 or 32 of a row
//            int4_g128_zp, int4_g32_zp   the same, and a code of 4 bits per scale that stands for zero: AWQ, GPTQ
//            q8_0                        codes -127 .. 127, an f16 scale for every 32 of a row: GGUF
//            q4_0                        codes 0 .. 15 that stand for -8 .. 7, an f16 scale for every 32: GGUF
//            q4_k, q5_k                  codes 0 .. 15 or 31; every 256 an f16 scale of scales and one of minima,
//                                        of which each 32 take 0 .. 63 and 0 .. 63: GGUF
//            q6_k                        codes 0 .. 63 that stand for -32 .. 31; every 256 an f16 scale of scales, of
//                                        which each 16 take -128 .. 127: GGUF
// Types:   e4m3: bias 7, largest finite 448, no infinity. e2m1: 0 0.5 1 1.5 2 3 4 6 and their negatives. e8m0: 2^(code
//          - 127), 255 is NaN. f16: IEEE binary16.
// Formula: value = scale * (table[code] - zero) - offset, each step rounded to f32 (Affine, below).
// Shapes:  a matrix is [rows, columns], the last two axes of a weight; leading axes count matrices, which share
//          nothing. Codes are row-major, each row a string of bits, lowest first: of 4 bits, a byte holds two, the
//          first in its low half. A block's scales are `scale_bytes`, [ceil(rows / block_rows)][ceil(columns /
//          block_columns)] of them:
//            f32                  fp8_*, int4_g* (whose checkpoints hold f16 or bf16: both are exact in f32)
//            f32 scale, f32 zero  int4_*_zp (the zero counts from -8, as the codes do)
//            the code             mxfp4, nvfp4
//            f16                  q8_0, q4_0
//            f16, 16 times int8   q6_k
//            f16, f16, 12 bytes   q4_k, q5_k as in GGUF: scale j < 4 in the low 6 bits of byte j, minimum in those
//                                 of 4 + j; of j >= 4 the low 4 bits in the halves of byte 4 + j, the upper 2 in the
//                                 upper 2 of bytes j - 4 and j
// Units:   bytes, bits.
// Errors:  BadCase with the nearest spelling for an unknown name; where blocks have to be whole and columns are no
//          multiple.
// Source:  OCP 8-bit Floating Point Specification 1.0, 2023, and Microscaling Formats Specification 1.0, 2023;
//          DeepSeek-V3 technical report, 2024, section 3.3.2; ggml's block layouts as the PyPI package gguf 0.19 reads
//          them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/core/dtype.h"
#include "kernels/core/tensor.h"

namespace layercost {

// What a code stands for: scale * (table[code] - zero) - offset.
struct Affine {
  float scale = 1, zero = 0, offset = 0;
};

struct WeightFormat {
  static constexpr std::int64_t kWholeRow = std::int64_t{1} << 40;

  std::string_view name;
  DType values;       // the type its values are read in
  int code_bits = 0;  // of an element
  // Elements that share scales; 0: there are none, and codes are the values.
  std::int64_t block_rows = 0, block_columns = 0;
  std::int64_t group_columns = 0;  // elements of a row with one Affine; divides block_columns
  std::int64_t scale_bytes = 0;    // of a block, in memory
  double stored_scale_bytes = 0;   // of a block, in a checkpoint
  bool has_factor = false;         // one f32 per matrix, by which scales are multiplied
  bool whole_blocks = false;       // columns are a multiple of block_columns
  const float* table = nullptr;    // a value for each code, exact in bf16
  Affine (*affine)(const std::byte* block_scales, std::int64_t group) = nullptr;
  // The factor of a matrix whose largest magnitude is `most`; null without factors.
  float (*factor_for)(float most) = nullptr;
  // One row of blocks: at most block_rows rows of `columns` elements each, and its scales. Codes are of whole bytes a
  // row.
  void (*encode)(const float* values, std::int64_t rows, std::int64_t columns, float factor, std::byte* codes,
                 std::byte* scales) = nullptr;

  bool is_plain() const { return block_rows == 0; }
  // Element i of a row of codes.
  unsigned code_of(const std::byte* codes, std::int64_t i) const {
    const std::int64_t bit = i * code_bits;
    const int shift = static_cast<int>(bit % 8);
    auto code = static_cast<unsigned>(codes[bit / 8]) >> shift;
    if (shift + code_bits > 8) code |= static_cast<unsigned>(codes[bit / 8 + 1]) << (8 - shift);
    return code & ((1u << code_bits) - 1);
  }
  std::int64_t row_bytes(std::int64_t columns) const { return (columns * code_bits + 7) / 8; }  // of codes
  std::int64_t blocks_of_row(std::int64_t columns) const { return (columns + block_columns - 1) / block_columns; }
  std::int64_t blocks_of(std::int64_t rows, std::int64_t columns) const {
    return is_plain() ? 0 : (rows + block_rows - 1) / block_rows * blocks_of_row(columns);
  }
  // As a checkpoint stores it.
  double bytes(std::int64_t rows, std::int64_t columns) const {
    return static_cast<double>(rows) * static_cast<double>(columns) * code_bits / 8 +
           stored_scale_bytes * static_cast<double>(blocks_of(rows, columns)) + (has_factor ? 4 : 0);
  }
  double bytes(const Shape&) const;  // of all matrices of a weight; a vector is one row
  // In this process: of a format with scales, what everything is made from, and one packed form beside it.
  double held_bytes(const Shape&) const;
  void expect_columns(std::int64_t columns) const;  // BadCase where blocks have to be whole and are not
};

std::span<const WeightFormat> weight_formats();
const WeightFormat& weight_format(std::string_view name);
// The format that stores elements of this type as they are.
const WeightFormat& weight_format(DType);

// Rounds to nearest even, beyond 65504 to infinity.
std::uint16_t to_f16(float);
float from_f16(std::uint16_t);
float from_e8m0(std::uint8_t);

}  // namespace layercost

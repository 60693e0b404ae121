// What:    how a constant matrix is stored: one row of the list in weight_format.cpp each. Everything that has to know
// a format (bytes,
//          memory, synthetic weights, checkpoints, references, --weights-format) reads it off its row.
//          f32, bf16      every element by itself
//          fp8_block128   e4m3 (OCP FP8: bias 7, largest finite 448, no infinity), an f32 scale for every 128 x 128
//                         elements: DeepSeek-V3's checkpoints
// Formula: value = code * scale, rounded to f32. The encoder takes scale = largest magnitude of the block / 448.
// Shapes:  a matrix is [rows, columns], the last two axes of a weight; leading axes count matrices, which share
// nothing.
//          Codes are row-major. Scales are [ceil(rows / block_rows), ceil(columns / block_columns)].
// Units:   bytes, bits.
// Errors:  BadCase with the nearest spelling for an unknown name.
// Source:  OCP 8-bit Floating Point Specification 1.0, 2023; DeepSeek-V3 technical report, 2024, section 3.3.2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/core/dtype.h"
#include "kernels/core/tensor.h"

namespace layercost {

struct WeightFormat {
  std::string_view name;
  DType values;                 // the type its values are read in
  std::int64_t code_bytes = 0;  // of an element
  // Elements that share an f32 scale; 0: there are no scales, and codes are the values.
  std::int64_t block_rows = 0, block_columns = 0;
  // One row of blocks: at most block_rows rows of `columns` elements each, and its scales.
  void (*encode)(const float* values, std::int64_t rows, std::int64_t columns, std::byte* codes,
                 float* scales) = nullptr;
  // `count` elements of one row from column `first` on; codes and scales of that row.
  void (*decode)(const std::byte* codes, const float* scales, std::int64_t first, std::int64_t count,
                 float* values) = nullptr;

  bool is_plain() const { return block_rows == 0; }
  std::int64_t scales_of(std::int64_t rows, std::int64_t columns) const {
    return is_plain() ? 0 : (rows + block_rows - 1) / block_rows * ((columns + block_columns - 1) / block_columns);
  }
  double bytes(std::int64_t rows, std::int64_t columns) const {
    return static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(code_bytes) +
           static_cast<double>(sizeof(float)) * static_cast<double>(scales_of(rows, columns));
  }
  double bytes(const Shape&) const;  // of all matrices of a weight; a vector is one row
};

std::span<const WeightFormat> weight_formats();
const WeightFormat& weight_format(std::string_view name);
// The format that stores elements of this type as they are.
const WeightFormat& weight_format(DType);

// e4m3. Rounds to nearest even and saturates at +-448; NaN is 0x7f.
std::uint8_t to_e4m3(float);
float from_e4m3(std::uint8_t);

}  // namespace layercost

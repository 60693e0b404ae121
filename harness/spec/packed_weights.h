// What:    a quantised matrix of a checkpoint, as a library packs it, into the codes and scales of its format
//          (kernels/core/weight_format.h). Nothing is rounded and nothing quantised anew: the values that result are
//          the library's own decoder's in f32, with one exception:
//            nvfp4_packed  a scale is divided by weight_global_scale there and multiplied with its inverse,
//                          rounded once more, here: up to one unit in the last place of f32
//          AutoAWQ and AutoGPTQ multiply in f16 and round the product to it; here scales, exact in f32, are multiplied
//          in f32.
// Errors:  BadInput naming file, tensor and expectation: a tensor that is missing, of another type or shape; a scale
//          that is NaN, infinite, negative or zero (a GGUF block of zeros has the scale 0); a code that is NaN; columns
//          that are no whole number of groups; a zero point in weights said to be symmetric; columns in another order.
// Source:  docs/formats.md, which names library and version of each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "harness/spec/gguf.h"
#include "harness/spec/quantization.h"
#include "harness/spec/safetensors.h"

namespace layercost {

// Where codes go: rows of one matrix, of which the format's blocks take whole ones.
struct CodedRows {
  const WeightFormat* format = nullptr;
  std::int64_t rows = 0, columns = 0;
  std::span<std::byte> codes, scales;
};

// Checks that a format's blocks fit and the spans are of their sizes; BadInput otherwise.
void expect_fitting(const CodedRows&, const std::string& file, const std::string& tensor);

// `module`: the tensor's name without ".weight". Returns the matrix's factor, 1 in formats without.
float read_packed(CheckpointReader&, const std::string& module, Packing, const CodedRows& out);

// Rows `first` and on of matrix `matrix` of NAME_blocks and NAME_scales, the fused experts of gpt-oss. `interleaved`: 1
// takes them one by one, 2 every other (gate and up in turns).
void read_mxfp4_blocks(CheckpointReader&, const std::string& name, std::int64_t matrix, std::int64_t first,
                       std::int64_t step, const CodedRows& out);

inline constexpr const char* kKnownGgufTypes = "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K and MXFP4";
// The format of a GGUF type; null for those that hold plain values and those that are not known.
const WeightFormat* format_of(const GgufType&);
// One row of blocks of the type into the row's codes and scales.
void unpack_gguf_row(const GgufType&, std::span<const std::byte> blocks, std::int64_t columns, std::byte* codes,
                     std::byte* scales, const std::string& file, const std::string& tensor);
// One row of F32, F16 or BF16.
bool is_plain(const GgufType&);
void convert_gguf_row(const GgufType&, std::span<const std::byte> row, std::span<float> out);

}  // namespace layercost

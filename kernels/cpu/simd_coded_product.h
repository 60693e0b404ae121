// What:    products with constant matrices in formats with scales, for every instruction set that Highway knows: where
//          CodedProduct's bf16 instructions are missing, and for x in f32.
// Formula: y[r, n] = sum_k x[r, k] * w[matrix, n, k]  (+ bias[n])  (+ residual[r, n]), rows by groups, each with its
//          matrix
// Shapes:  x [rows, k]; w [n, k] or [count, n, k]; bias [n]; residual, y [rows, n]
// Types:   x f32 or bf16, y (and residual) f32 or bf16, bias f32. Sums in f32.
// Layout:  CodedTiles.
// Threads: the team's (kernels/core/team.h); one caller at a time. A piece is a block of a group's matrix.
// Limit:   n / 64 pieces of a matrix, so a small n does not fill many cores.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/contract/op.h"
#include "kernels/cpu/coded_tiles.h"

namespace layercost {

// No where the format has no scales or the processor no vectors.
Support simd_coded_support(const WeightFormat&);

class SimdCodedProduct {
 public:
  struct Arguments {
    const void* x;
    const float* bias;     // null: none
    const void* residual;  // null: none
    void* y;
    std::int64_t bias_stride = 0;  // from the bias of one matrix to the next one's
    std::int64_t y_stride = 0;     // elements from row to row of y and residual; 0: n
  };
  // For up to `rows` rows in up to `groups` groups.
  static std::unique_ptr<SimdCodedProduct> make(const Weight&, DType x, DType y, std::int64_t rows,
                                                std::int64_t groups);
  virtual ~SimdCodedProduct() = default;
  virtual void run(std::span<const CodedGroup>, const Arguments&) = 0;
  virtual std::string chosen() const = 0;  // "AVX2, q4_k in blocks of 64"
};

}  // namespace layercost

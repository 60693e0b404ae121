// What:    matrix products with constant matrices in f32 vectors, for every type and every instruction set that
//          Highway knows: where bf16 instructions are missing, and for f32.
// Formula: y[r, n] = sum_k x[r, k] * w[matrix, n, k]  (+ bias[n])  (+ residual[r, n]), rows by groups, each with its
//          matrix
// Shapes:  x [rows, k]; w [n, k] or [count, n, k]; bias [n]; residual, y [rows, n]
// Types:   x, w (and bias), y (and residual): f32 or bf16 in any combination. Sums in f32.
// Layout:  Bf16Tiles (a 32-bit word holds two k of one column: a shift and a mask give two vectors) or F32Tiles.
// Threads: the team's (kernels/core/team.h); one caller at a time. A piece is a block of 64 columns of a group, or a
//          part of its k where blocks are few. The result does not depend on who did what, but its last bits do on the
//          number of threads (through the parts).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/contract/op.h"

namespace layercost {

// No where the processor has no vectors.
Support simd_product_support();
// Not where the processor's bf16 instructions do a product of these types at twice the rate.
bool simd_product_prefers(DType x, DType w, const DeviceInfo&);

class SimdProduct {
 public:
  struct Group {
    std::int64_t first, rows, matrix;  // rows first .. first + rows - 1; rows may be 0
  };
  struct Arguments {
    const void *x, *bias, *residual;  // bias and residual: null without
    void* y;
    std::int64_t bias_stride = 0;  // elements from the bias of one matrix to the next one's
    std::int64_t y_stride = 0;     // elements from row to row of y and residual; 0: n
  };
  // For up to `rows` rows in up to `groups` groups.
  static std::unique_ptr<SimdProduct> make(const Weight&, DType x, DType y, std::int64_t rows, std::int64_t groups);
  virtual ~SimdProduct() = default;
  virtual void run(std::span<const Group>, const Arguments&) = 0;
  virtual std::string chosen() const = 0;  // "AVX2, weights BA16a64b2a"
};

}  // namespace layercost

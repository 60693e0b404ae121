// What:    products of small f32 matrices that lie in the caches, for linear attention in chunks: tiles of sums in
//          registers, one factor broadcast over rows of vectors.
// Rules:   rows of b and c are whole vectors (padded_to_vectors), of which any may be read and written.
// Included once per instruction set: see kernels/cpu/simd.h.
// SPDX-License-Identifier: Apache-2.0
#if defined(LAYERCOST_CPU_F32_PRODUCTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LAYERCOST_CPU_F32_PRODUCTS_INL_H
#undef LAYERCOST_CPU_F32_PRODUCTS_INL_H
#else
#define LAYERCOST_CPU_F32_PRODUCTS_INL_H
#endif

#include <algorithm>

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {

inline constexpr int kTileVectors = kLanes == 16 || HWY_ARCH_ARM_A64 ? 4 : 2;  // of 32 registers or 16
// x 4 vectors of sums, 4 loads and a broadcast: 29 of 32 registers.
inline constexpr std::int64_t kTileRows = 6;

// A matrix as rows of factors: element (i, j) is at i * row + j * column.
struct Factors {
  const float* at;
  std::int64_t row, column;
};

// c[kRows, kVectors vectors] = scale * c + a b over `depth`; b and c are rows of vectors.
template <int kRows, int kVectors>
HWY_INLINE void tile(std::int64_t depth, Factors a, const float* b, std::int64_t b_row, float scale, float* c,
                     std::int64_t c_row) {
  V sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kVectors; ++j)
      sums[r][j] = scale == 0 ? hn::Zero(F32()) : hn::Mul(load(c + r * c_row + j * kLanes), hn::Set(F32(), scale));
  for (std::int64_t i = 0; i < depth; ++i) {
    V row[kVectors];
    for (int j = 0; j < kVectors; ++j) row[j] = load(b + i * b_row + j * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(F32(), a.at[r * a.row + i * a.column]);
      for (int j = 0; j < kVectors; ++j) sums[r][j] = hn::MulAdd(factor, row[j], sums[r][j]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kVectors; ++j) store(sums[r][j], c + r * c_row + j * kLanes);
}

template <int kRows>
inline void rows_of_tiles(std::int64_t columns, std::int64_t depth, Factors a, const float* b, std::int64_t b_row,
                          float scale, float* c, std::int64_t c_row) {
  std::int64_t j = 0;
  for (; j + kTileVectors * kLanes <= columns; j += kTileVectors * kLanes)
    tile<kRows, kTileVectors>(depth, a, b + j, b_row, scale, c + j, c_row);
  for (; j < columns; j += kLanes) tile<kRows, 1>(depth, a, b + j, b_row, scale, c + j, c_row);
}

// At most kTileRows rows; columns: up to whole vectors.
inline void few_rows(std::int64_t rows, std::int64_t columns, std::int64_t depth, Factors a, const float* b,
                     std::int64_t b_row, float scale, float* c, std::int64_t c_row) {
  constexpr decltype(&rows_of_tiles<1>) kBy[] = {rows_of_tiles<1>, rows_of_tiles<2>, rows_of_tiles<3>,
                                                 rows_of_tiles<4>, rows_of_tiles<5>, rows_of_tiles<6>};
  kBy[rows - 1](columns, depth, a, b, b_row, scale, c, c_row);
}

// c = scale * c + a b. `lower`: columns right of the diagonal need not be made.
inline void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, Factors a, const float* b,
                    std::int64_t b_row, float scale, float* c, std::int64_t c_row, bool lower = false) {
  for (std::int64_t r = 0; r < rows; r += kTileRows) {
    const std::int64_t count = std::min(kTileRows, rows - r);
    few_rows(count, lower ? std::min(columns, r + count) : columns, depth, {a.at + r * a.row, a.row, a.column}, b,
             b_row, scale, c + r * c_row, c_row);
  }
}

// c += a b with a lower triangular: of each tile's rows the depth ends at the diagonal.
inline void product_below(std::int64_t rows, std::int64_t columns, const float* a, std::int64_t a_row, const float* b,
                          std::int64_t b_row, float* c, std::int64_t c_row) {
  for (std::int64_t r = 0; r < rows; r += kTileRows) {
    const std::int64_t count = std::min(kTileRows, rows - r);
    few_rows(count, columns, r + count, {a + r * a_row, a_row, 1}, b, b_row, 1.0f, c + r * c_row, c_row);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#endif

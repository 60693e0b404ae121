// What:    how four warps hold 32 columns of a head's state: eight lanes side by side four columns each (128 bytes of a
//          row in one access), the sixteen groups of eight every sixteenth row, up to 16 rows of 4 columns per thread;
//          and the way of four columns from and to memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/elements.h"

namespace layercost {
namespace state_columns {

using namespace simt;

constexpr int kThreads = 128, kWarps = kThreads / 32, kColumns = 4, kLanes = 8, kBlockColumns = kColumns * kLanes;
constexpr int kParts = kThreads / kLanes;  // of the rows

// Row i of a state with `columns` columns, whose first element is `at`; from `column` on. `vectors`: `columns` is a
// multiple of 4, so that four of them are one access.
SIMT_INLINE void load_columns(const float* at, int columns, bool vectors, int i, int column, float (&s)[kColumns]) {
  const float* from = at + static_cast<std::int64_t>(i) * columns + column;
  if (vectors && column < columns) {
    const Vec16 v = load16(from);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) s[j] = as_float(v.word[j]);
    return;
  }
#pragma unroll
  for (int j = 0; j < kColumns; ++j) s[j] = column + j < columns ? from[j] : 0.0f;
}
SIMT_INLINE void store_columns(float* at, int columns, bool vectors, int i, int column, const float (&s)[kColumns]) {
  float* to = at + static_cast<std::int64_t>(i) * columns + column;
  if (vectors && column < columns) {
    store16(to, {as_bits(s[0]), as_bits(s[1]), as_bits(s[2]), as_bits(s[3])});
    return;
  }
#pragma unroll
  for (int j = 0; j < kColumns; ++j)
    if (column + j < columns) to[j] = s[j];
}

// What all parts of the rows hold of sums over rows, added up within a warp: every eight lanes hold the same then.
template <int kSums>
SIMT_INLINE void add_within_warp(float (&sums)[kSums]) {
#pragma unroll
  for (int n = 0; n < kSums; ++n) {
    sums[n] += shuffle_xor(sums[n], kLanes);
    sums[n] += shuffle_xor(sums[n], 2 * kLanes);
  }
}

}  // namespace state_columns
}  // namespace layercost

// What:    device code that the plain products (linear, grouped_linear) share: x[m,k] w[n,k]^T for any sizes and types,
//          in f32 on the ordinary units. The fallback for what no tensor-core variant takes.
// Kernels: PlainTile<X, W>: 256 threads make a tile of 64 x 64, 4 x 4 per thread, from slices of 16 k in shared memory.
//          Per k a thread reads 8 values for 16 multiply-adds, and the tile reads 128 values for 4096.
//          plain_dots: a warp makes one column for up to four rows, the lanes side by side along k: for so few rows the
//          product is a read of w, which a tile would do with 1 of 16 threads.
// Order:   sums run along k (plain_dots: 32 of them, added pairwise); the same in every run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/simt.h"

namespace layercost {

constexpr int kPlainTile = 64, kPlainSlice = 16, kPlainThreads = 256, kPlainRows = 4;

struct PlainShared {
  // k first, so that a thread's four neighbours lie together; 4 more than 64 keep them 16-byte aligned and spread the
  // stores, which go down a column, over the banks.
  simt::Array<simt::Array<float, kPlainTile + 4>, kPlainSlice> x, w;
};

// acc[i][j] += sum over k of x row 4 (thread / 16) + i and w row 4 (thread % 16) + j. `rows` and `columns` of the tile
// exist; the sums of others stay zero. All threads of the block call this.
template <class X, class W>
SIMT_INLINE void plain_tile(PlainShared& s, const X* x, std::int64_t rows, const W* w, std::int64_t columns,
                            std::int64_t k, float (&acc)[4][4]) {
  using namespace simt;
  const int thread = static_cast<int>(threadIdx.x);
  const int load_row = thread / 4, load_k = thread % 4 * 4, tile_row = thread / 16 * 4, tile_column = thread % 16 * 4;
  for (std::int64_t first = 0; first < k; first += kPlainSlice) {
    float in_x[4], in_w[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const std::int64_t at = first + load_k + i;
      in_x[i] = load_row < rows && at < k ? to_float(x[load_row * k + at]) : 0.0f;
      in_w[i] = load_row < columns && at < k ? to_float(w[load_row * k + at]) : 0.0f;
    }
    sync_block();  // the slice before is used up
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      s.x[load_k + i][load_row] = in_x[i];
      s.w[load_k + i][load_row] = in_w[i];
    }
    sync_block();
#pragma unroll
    for (int kk = 0; kk < kPlainSlice; ++kk) {
      float a[4], b[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        a[i] = s.x[kk][tile_row + i];
        b[i] = s.w[kk][tile_column + i];
      }
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) acc[i][j] += a[i] * b[j];
    }
  }
}

// sum[i] = sum over k of row i of x and the row w; in every lane. Rows from `rows` on count as zero.
template <class X, class W>
SIMT_INLINE void plain_dots(const X* x, std::int64_t rows, const W* w, std::int64_t k, float (&sum)[kPlainRows]) {
  using namespace simt;
#pragma unroll
  for (int i = 0; i < kPlainRows; ++i) sum[i] = 0;
#pragma unroll 4
  for (std::int64_t at = lane(); at < k; at += 32) {
    const float b = to_float(w[at]);
#pragma unroll
    for (int i = 0; i < kPlainRows; ++i)
      if (i < rows) sum[i] += to_float(x[i * k + at]) * b;
  }
#pragma unroll
  for (int i = 0; i < kPlainRows; ++i) sum[i] = warp_sum(sum[i]);
}

}  // namespace layercost

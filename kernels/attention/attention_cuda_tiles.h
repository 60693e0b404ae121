// What:    what the tensor-core attention kernels share: tiles of keys and values in shared memory, and one warp's
//          scores, online softmax and weighted sum on fragments of mma m16n8k16.
// Layout:  a fragment is 16 rows. With g = lane / 4 and c = lane % 4 a lane holds of an f32 fragment [16, n], as
//          [n / 8][4]: row g, columns 8 i + 2 c and + 1 (elements 0, 1), and row g + 8, the same columns (2, 3). Its
//          first, second row below: g, g + 8.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "kernels/simt/simt.h"

namespace layercost {
namespace attention_tiles {
namespace {  // each kernel file its own copy

using namespace simt;

constexpr int kTileKeys = 64;
constexpr float kMinusInfinity = -INFINITY;

// Rows of kDim bf16 in pieces of 16 bytes. Piece i of row r lies at i ^ (r % 8), so that the same piece of eight rows,
// which one matrix of ldmatrix is, lies in eight different groups of four banks, without padding.
template <int kDim, int kRows>
struct Rows {
  static constexpr int kPieces = kDim / 8;
  Array<Array<Vec16, kPieces>, kRows> pieces;
  SIMT_INLINE Vec16* at(int row, int piece) { return &pieces[row][piece ^ (row & 7)]; }
};

// n values that are read and written as one.
template <class T, int n>
struct alignas(sizeof(T) * n) Together {
  T v[n];
};

// scores += q k^T over 16 dims, for kKeys keys from row `first` of the tile. q: the fragments' columns 16 step ...
template <int kFragments, int kKeys, class Tile>
SIMT_INLINE void multiply(Tile& keys, int first, int step, const std::uint32_t (&q)[kFragments][4],
                          float (&scores)[kFragments][kKeys / 8][4]) {
  // Matrices: keys 0 - 7 and dims 0 - 7, 0 - 7 and 8 - 15, 8 - 15 and 0 - 7, 8 - 15 and 8 - 15. The two of a product in
  // neighbouring registers, as the instruction wants them.
  const int row = first + lane() / 16 * 8 + lane() % 8, piece = 2 * step + lane() / 8 % 2;
#pragma unroll
  for (int i = 0; i < kKeys / 16; ++i) {
    std::uint32_t k[4];
    ldmatrix_x4(k, keys.at(row + 16 * i, piece));
#pragma unroll
    for (int f = 0; f < kFragments; ++f) {
      mma_bf16(scores[f][2 * i], q[f], {k[0], k[1]});
      mma_bf16(scores[f][2 * i + 1], q[f], {k[2], k[3]});
    }
  }
}

// sums += weights v, for kKeys values from row `first` of the tile. The weights are rounded to bf16.
template <int kFragments, int kKeys, int kDim, class Tile>
SIMT_INLINE void weigh(Tile& values, int first, const float (&weights)[kFragments][kKeys / 8][4],
                       float (&sums)[kFragments][kDim / 8][4]) {
  // Matrices, transposed: values 0 - 7 and dims 0 - 7, 8 - 15 and 0 - 7, 0 - 7 and 8 - 15, 8 - 15 and 8 - 15.
  const int row = first + lane() % 16, piece = lane() / 16;
#pragma unroll
  for (int i = 0; i < kKeys / 16; ++i) {
    std::uint32_t p[kFragments][4];  // columns of two score tiles are the k of one product
#pragma unroll
    for (int f = 0; f < kFragments; ++f)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        p[f][j] = pack(weights[f][2 * i + j / 2][j % 2 * 2], weights[f][2 * i + j / 2][j % 2 * 2 + 1]);
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
      std::uint32_t v[4];
      ldmatrix_x4_trans(v, values.at(row + 16 * i, piece + 2 * d));
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
        mma_bf16(sums[f][2 * d], p[f], {v[0], v[1]});
        mma_bf16(sums[f][2 * d + 1], p[f], {v[2], v[3]});
      }
    }
  }
}

// A row at position p sees key j if 0 <= p - j < window: the others get the score minus infinity.
template <int kKeys>
SIMT_INLINE void mask(float (&scores)[kKeys / 8][4], int first_key, const int (&positions)[2], int window) {
#pragma unroll
  for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int key = first_key + 8 * i + lane() % 4 * 2 + j % 2;
      // One comparison: a negative distance is a large unsigned number.
      if (static_cast<unsigned>(positions[j / 2] - key) >= static_cast<unsigned>(window)) scores[i][j] = kMinusInfinity;
    }
}

// And one at position p sees nothing before the chunk that p lies in.
template <int kKeys>
SIMT_INLINE void mask_chunks(float (&scores)[kKeys / 8][4], int first_key, const int (&positions)[2], int chunk) {
  const int begins[2] = {positions[0] / chunk * chunk, positions[1] / chunk * chunk};
#pragma unroll
  for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (first_key + 8 * i + lane() % 4 * 2 + j % 2 < begins[j / 2]) scores[i][j] = kMinusInfinity;
}

// Of a lane's two rows: the largest score so far, the same in the four lanes of a row; the sum of this lane's weights.
struct Softmax {
  float max[2] = {kMinusInfinity, kMinusInfinity};
  float sum[2] = {0, 0};
};

// What a weight's exponent is relative to: 0 for a row that has seen no key yet, where max - max would be NaN.
SIMT_INLINE float exponent_base(float max, float scale) { return max == kMinusInfinity ? 0 : max * scale; }

// Scores to weights exp2(scale (score - max)); sums and Softmax::sum, of earlier keys, are brought to the new maximum.
// scale > 0 holds log2(e) as well.
template <int kKeys, int kDim>
SIMT_INLINE void soften(float (&scores)[kKeys / 8][4], float scale, Softmax& softmax, float (&sums)[kDim / 8][4]) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float max = softmax.max[h];
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i) max = fmaxf(max, fmaxf(scores[i][2 * h], scores[i][2 * h + 1]));
    max = fmaxf(max, shuffle_xor(max, 1));
    max = fmaxf(max, shuffle_xor(max, 2));
    const float base = exponent_base(max, scale), keep = exp2_fast(softmax.max[h] * scale - base);
    softmax.max[h] = max;
    softmax.sum[h] *= keep;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      sums[i][2 * h] *= keep;
      sums[i][2 * h + 1] *= keep;
    }
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
      for (int j = 2 * h; j < 2 * h + 2; ++j) {
        scores[i][j] = exp2_fast(scores[i][j] * scale - base);
        softmax.sum[h] += scores[i][j];
      }
  }
}

// The sums of weights of the whole rows, in all four lanes of each.
SIMT_INLINE void add_lanes(Softmax& softmax) {
#pragma unroll
  for (float& sum : softmax.sum) {
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
  }
}

}  // namespace
}  // namespace attention_tiles
}  // namespace layercost

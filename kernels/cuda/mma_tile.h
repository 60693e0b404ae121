// What:    one tile of y[i,j] = sum_k a[i,k] b[j,k] in bf16 with mma.sync m16n8k16, sums in f32: the loop that the tile
//          kernels (linear, grouped_linear, moe_experts) have in common.
// Does:    k is cut into slices of kDepth. While one is multiplied, the kStages - 1 behind it are on their way from
//          global memory (cp.async, 16 bytes a thread); one barrier per slice. The fragments of a step of 16 columns
//          are loaded while the step before is multiplied.
//          A row of a slice is kDepth / 8 chunks of 16 bytes, stored at chunk ^ row: the 8 rows that an ldmatrix reads
//          lie in 8 different groups of banks, as do the chunks that 8 threads write.
// Use:     using Tile = MmaTile<128, 128, 64, 2, 2, 3>;   launched with Tile::kThreads threads
//          struct Shared { Tile::Shared tile; };
//          Tile tile;                                     the sums: registers
//          tile.multiply(s.tile, a, a_row, b, b_row, k);  a_row(i): the row of `a` that is row i of the tile, or -1 for
//                                                         none (read as zeros); b_row(j) likewise
//          tile.each([&](int i, int j, float v, float next) {});   row i, columns j and j + 1 (j is even), of all the
//                                                         tile: the caller leaves out what lies outside of y
//          Rows are looked up once per tile, in any order, so they may be gathered by index (tokens of an expert) or
//          interleaved (rows of gate and up, so that v and next are a pair of theirs).
// Rules:   called by all threads of the block. k % 8 == 0; rows of `a` and `b` have k elements and start at multiples
//          of 16 bytes; row * k / 8 < 2^31. To use the same shared memory again, for another tile or in the epilogue: a
//          barrier first.
// Cost:    a warp owns (kRows / kWarpsDown) x (kColumns / kWarpsAcross). Per step of 16 columns 64 x 64 needs 8
//          ldmatrix.x4 for 32 mma, 64 x 32 needs 6 for 16, 32 x 32 needs 4 for 8: shared memory, at 4 cycles for each
//          ldmatrix.x4, is what limits the smaller ones. 64 x 64 takes 128 registers for the sums and 64 for two sets
//          of fragments.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/simt.h"

namespace layercost {
namespace simt {

// Where chunk `chunk` of row `row` is, in an array of rows of kChunks chunks (4 or a multiple of 8).
template <int kChunks>
SIMT_INLINE int swizzled(int row, int chunk) {
  static_assert(kChunks == 4 || kChunks % 8 == 0, "4 chunks: two rows share the 128 bytes of all banks");
  return row * kChunks + (chunk ^ (kChunks == 4 ? (row >> 1) & 3 : row & 7));
}

// The left operand of m16n8k16: rows first .. first + 15, columns 16 * step .. 16 * step + 15.
template <int kChunks, int kSize>
SIMT_INLINE void load_left(std::uint32_t (&a)[4], const Array<Vec16, kSize>& rows, int first, int step) {
  const int l = lane();
  ldmatrix_x4(a, &rows[swizzled<kChunks>(first + (l & 15), 2 * step + (l >> 4))]);
}

// The right operands of two products: rows first .. first + 7 and first + 8 .. first + 15.
template <int kChunks, int kSize>
SIMT_INLINE void load_right(std::uint32_t (&b)[2], std::uint32_t (&next)[2], const Array<Vec16, kSize>& rows, int first,
                            int step) {
  const int l = lane();
  std::uint32_t r[4];
  ldmatrix_x4(r, &rows[swizzled<kChunks>(first + (l & 7) + (l >> 4) * 8, 2 * step + ((l >> 3) & 1))]);
  b[0] = r[0];
  b[1] = r[1];
  next[0] = r[2];
  next[1] = r[3];
}

template <int kRows, int kColumns, int kDepth, int kWarpsDown, int kWarpsAcross, int kStages>
class MmaTile {
 public:
  static constexpr int kThreads = 32 * kWarpsDown * kWarpsAcross;

 private:
  static constexpr int kChunks = kDepth / 8;
  static constexpr int kSteps = kDepth / 16;
  static constexpr int kRowsAtOnce = kThreads / kChunks;  // that one cp.async of every thread copies
  static constexpr int kWarpRows = kRows / kWarpsDown, kWarpColumns = kColumns / kWarpsAcross;
  static constexpr int kDown = kWarpRows / 16, kAcross = kWarpColumns / 8;
  static_assert(kSteps % 2 == 0, "the two sets of fragments alternate over the end of a slice");
  static_assert(kRows % kRowsAtOnce == 0 && kColumns % kRowsAtOnce == 0 && kRowsAtOnce % 8 == 0, "whole copies");
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 16 == 0, "whole products, fragments of b in pairs");
  static_assert(kStages >= 2, "one slice is multiplied while another is copied");

  struct Stage {
    Array<Vec16, kRows * kChunks> a;
    Array<Vec16, kColumns * kChunks> b;
  };

  // The rows that this thread copies a chunk of.
  template <int kCount>
  struct Source {
    int offset[kCount];  // of the row's start, in 16 bytes; negative: no row

    template <class Row>
    SIMT_INLINE Source(Row row_of, int chunks_per_row) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const int row = row_of(static_cast<int>(threadIdx.x) / kChunks + i * kRowsAtOnce);
        offset[i] = row < 0 ? -1 : row * chunks_per_row;
      }
    }

    template <int kSize>
    SIMT_INLINE void copy(Array<Vec16, kSize>& to, const Vec16* from, bool inside) const {
      const int row = static_cast<int>(threadIdx.x) / kChunks, chunk = static_cast<int>(threadIdx.x) % kChunks;
#pragma unroll
      for (int i = 0; i < kCount; ++i)
        cp_async16(&to[swizzled<kChunks>(row + i * kRowsAtOnce, chunk)], from + (offset[i] < 0 ? 0 : offset[i]),
                   inside && offset[i] >= 0);
    }
  };

  struct Fragments {
    std::uint32_t a[kDown][4];
    std::uint32_t b[kAcross][2];
  };

  SIMT_INLINE static int warp_row() { return warp() / kWarpsAcross * kWarpRows; }
  SIMT_INLINE static int warp_column() { return warp() % kWarpsAcross * kWarpColumns; }

  SIMT_INLINE static void load(Fragments& f, const Stage& from, int step) {
#pragma unroll
    for (int i = 0; i < kDown; ++i) load_left<kChunks>(f.a[i], from.a, warp_row() + 16 * i, step);
#pragma unroll
    for (int j = 0; j < kAcross; j += 2) load_right<kChunks>(f.b[j], f.b[j + 1], from.b, warp_column() + 8 * j, step);
  }

  float sums_[kDown][kAcross][4];

 public:
  struct Shared {
    Array<Stage, kStages> stages;
  };

  template <class ARow, class BRow>
  SIMT_INLINE void multiply(Shared& s, const bf16* a, ARow a_row, const bf16* b, BRow b_row, int k) {
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int j = 0; j < kAcross; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums_[i][j][e] = 0;

    const int chunks = k / 8, slices = (chunks + kChunks - 1) / kChunks;
    const Source<kRows / kRowsAtOnce> a_source(a_row, chunks);
    const Source<kColumns / kRowsAtOnce> b_source(b_row, chunks);
    const int chunk = static_cast<int>(threadIdx.x) % kChunks;
    const auto copy = [&](int slice, int stage) {
      if (slice < slices) {
        const int at = slice * kChunks + chunk;
        const bool inside = at < chunks;  // else zeros: the last slice may be a partial one
        a_source.copy(s.stages[stage].a, reinterpret_cast<const Vec16*>(a) + (inside ? at : 0), inside);
        b_source.copy(s.stages[stage].b, reinterpret_cast<const Vec16*>(b) + (inside ? at : 0), inside);
      }
      cp_async_commit();  // an empty group, too, so that the waits can count
    };
#pragma unroll
    for (int i = 0; i < kStages - 1; ++i) copy(i, i);
    cp_async_wait<kStages - 2>();
    sync_block();

    Fragments f[2];
    load(f[0], s.stages[0], 0);
    int reads = 0, writes = kStages - 1;  // stages
#pragma unroll 1
    for (int slice = 0; slice < slices; ++slice) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        if (step + 1 < kSteps) {
          load(f[(step + 1) % 2], s.stages[reads], step + 1);
        } else if (slice + 1 < slices) {
          // The next slice has arrived for all threads, and all have loaded the last fragments of this one.
          cp_async_wait<kStages - 2>();
          sync_block();
          reads = reads + 1 == kStages ? 0 : reads + 1;
          load(f[0], s.stages[reads], 0);
        }
        if (step == 0) {
          copy(slice + kStages - 1, writes);  // to where the slice before this one was
          writes = writes + 1 == kStages ? 0 : writes + 1;
        }
#pragma unroll
        for (int i = 0; i < kDown; ++i)
#pragma unroll
          for (int j = 0; j < kAcross; ++j) mma_bf16(sums_[i][j], f[step % 2].a[i], f[step % 2].b[j]);
      }
    }
  }

  template <class Use>
  SIMT_INLINE void each(Use use) const {
    const int row = warp_row() + lane() / 4, column = warp_column() + lane() % 4 * 2;
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int j = 0; j < kAcross; ++j)
          use(row + 16 * i + 8 * half, column + 8 * j, sums_[i][j][2 * half], sums_[i][j][2 * half + 1]);
  }
};

struct alignas(8) FloatPair {
  float lo, hi;
};
// v and next to y[0] and y[1], which lie in one aligned pair.
SIMT_INLINE void store_pair(bf16* y, float v, float next) { *reinterpret_cast<std::uint32_t*>(y) = pack(v, next); }
SIMT_INLINE void store_pair(float* y, float v, float next) { *reinterpret_cast<FloatPair*>(y) = {v, next}; }

}  // namespace simt
}  // namespace layercost

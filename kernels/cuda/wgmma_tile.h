// What:    tiles of y[i,j] = sum_k a[i,k] b[j,k] in bf16 with wgmma, sums in f32, for grouped products on compute
//          capability 9.0: the loop that grouped_linear and moe_experts have in common.
// Does:    a block stays on its multiprocessor and takes one tile after the other. Two producer warps only bring slices
//          of 64 columns of k to shared memory, kStages ahead, also into the next tile; three warp groups multiply, 64
//          rows x 192 columns each, and write. Between them stand two barriers per stage: `full` and `empty`.
//          192 x 192: the L2 cache is the limit. It gives 48 KB for 1152 cycles of products, with 128 x 256 for 1024;
//          and fewer experts have a second tile, which reads their weights again. H100, 2048 tokens, 128 experts of
//          2048 x 768, top 8: 617 us with 128 x 256 (the cache 91 % busy, 1.3 times the weights from memory), 582 us
//          so. 256 columns would need more registers than 448 threads have. Groups of 64 rows without results are
//          neither brought nor multiplied.
// Use:     in a kernel of kThreads threads, __launch_bounds__(kThreads, 1): start(), then roles part:
//          is_producer():  wait_empty(place_of(i)), bring slice i ...          i counts slices over all tiles
//          consumers:      Tile::multiply, each_eight
// Layout:  a stage is 192 rows of a, then 192 rows of b, 128 bytes each, with the 128-byte swizzle.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/elements.h"
#include "kernels/simt/sm90.h"

namespace layercost {
namespace wgmma_tile {

using namespace simt;

constexpr int kRows = 192, kColumns = 192, kDepth = 64, kStages = 4;
constexpr int kGroupRows = 64, kConsumers = 3, kConsumerWarps = 4 * kConsumers;
constexpr int kProducerThreads = 64, kThreads = 32 * kConsumerWarps + kProducerThreads;
constexpr int kRowPieces = kDepth / 8;  // of 16 bytes
// Boxes: a comes in groups of 64 rows, b in halves of 96.
constexpr int kHalfColumns = kColumns / 2;
constexpr int kGroupBytes = 2 * kGroupRows * kDepth, kHalfBytes = 2 * kHalfColumns * kDepth;

struct alignas(1024) Stage {
  Array<Vec16, kRows * kRowPieces> a;
  Array<Vec16, kColumns * kRowPieces> b;
};
struct Shared {
  Array<Stage, kStages> stages;
  Array<Mbarrier, kStages> full, empty;
  Array<int, kRows> source;  // for rows of a that are gathered by index: where they begin
};

SIMT_INLINE bool is_producer() { return warp() >= kConsumerWarps; }
SIMT_INLINE int group_of_warp() { return warp() / 4; }

// By all threads, before anything else: `producers` arrivals make a stage full.
SIMT_INLINE void start(Shared& s, int producers) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(s.full[i], producers);
      mbarrier_init(s.empty[i], kConsumerWarps);
    }
    mbarrier_init_fence();
  }
  sync_block();
}

// Where slice `i` of this block goes, and the parity of that round through the stages.
struct Place {
  int stage, parity;
};
SIMT_INLINE Place place_of(int i) { return {i % kStages, i / kStages % 2}; }

// The producer: until the stage has been used up.
SIMT_INLINE void wait_empty(Shared& s, Place at) { mbarrier_wait(s.empty[at.stage], at.parity ^ 1); }

// How many groups of a tile have any of its rows.
SIMT_INLINE int groups_of(int rows) {
  const int groups = (rows + kGroupRows - 1) / kGroupRows;
  return groups < kConsumers ? groups : kConsumers;
}

// By one thread: the halves of b from two places; all of a slice.
SIMT_INLINE void bring_b(Stage& to, const TensorMap& b, Mbarrier& full, int column, int first, int second) {
  tma_load(&to.b[0], b, full, column, first);
  tma_load(&to.b[kHalfColumns * kRowPieces], b, full, column, second);
}
SIMT_INLINE void bring_both(Stage& to, const TensorMap& a, int a_row, int groups, const TensorMap& b, int b_row,
                            Mbarrier& full, int column) {
  mbarrier_arrive_expect(full, groups * kGroupBytes + 2 * kHalfBytes);
  for (int g = 0; g < groups; ++g)
    tma_load(&to.a[g * kGroupRows * kRowPieces], a, full, column, a_row + g * kGroupRows);
  bring_b(to, b, full, column, b_row, b_row + kHalfColumns);
}

// The sums of one consumer thread: rows 64 group + 16 w + g and + 8, columns 8 i + 2 c and + 1
// (kernels/simt/sm90.h).
struct Tile {
  float sums[kColumns / 2];

  // `slices` slices from `first` on; `idle`: none of this group's rows has a result. kCopied: rows of a came by
  // cp.async, whose writes wgmma sees behind a fence only.
  template <bool kCopied>
  SIMT_INLINE void multiply(Shared& s, int first, int slices, bool idle) {
    if (idle) {
      for (int i = first; i < first + slices; ++i) {
        const Place at = place_of(i);
        mbarrier_wait(s.full[at.stage], at.parity);
        if (lane() == 0) mbarrier_arrive(s.empty[at.stage]);
      }
      return;
    }
    for (int i = first; i < first + slices; ++i) {
      const Place at = place_of(i);
      mbarrier_wait(s.full[at.stage], at.parity);
      if constexpr (kCopied) fence_async_shared();
      const std::uint64_t a = swizzled_128(&s.stages[at.stage].a[group_of_warp() * kGroupRows * kRowPieces], 1024);
      const std::uint64_t b = swizzled_128(&s.stages[at.stage].b[0], 1024);
      wgmma_fence();
#pragma unroll
      for (int step = 0; step < kDepth / 16; ++step)  // 32 bytes further
        wgmma_bf16<kColumns>(sums, a + 2 * step, b + 2 * step, i > first || step > 0);
      wgmma_commit();
      // One slice is multiplied while the next is issued; what the slice before it was read from is free.
      wgmma_wait<1>();
      if (i > first && lane() == 0) mbarrier_arrive(s.empty[place_of(i - 1).stage]);
    }
    wgmma_wait<0>();
    wgmma_arrived(sums);
    if (lane() == 0) mbarrier_arrive(s.empty[place_of(first + slices - 1).stage]);
  }
};

// Four packed pairs of columns per thread, of column groups 8 j .. 8 j + 7, j = 0 .. 3: after it the thread c of the
// four that share a row holds all eight columns of group c. Two exchanges of halves.
SIMT_INLINE Vec16 gather_eight(std::uint32_t (&v)[4]) {
  const int c = lane() % 4;
  const bool odd = c % 2 != 0, high = c / 2 != 0;
  // With the neighbour: even threads keep groups 0 and 2, odd ones 1 and 3.
  const std::uint32_t from0 = shuffle_xor(odd ? v[0] : v[1], 1), from2 = shuffle_xor(odd ? v[2] : v[3], 1);
  const std::uint32_t own0 = odd ? v[1] : v[0], own2 = odd ? v[3] : v[2];
  const std::uint32_t lo0 = odd ? from0 : own0, hi0 = odd ? own0 : from0;  // columns of threads c & ~1, c | 1
  const std::uint32_t lo2 = odd ? from2 : own2, hi2 = odd ? own2 : from2;
  // With the thread two further: the lower ones keep groups 0 and 1, the upper ones 2 and 3.
  const std::uint32_t lo = shuffle_xor(high ? lo0 : lo2, 2), hi = shuffle_xor(high ? hi0 : hi2, 2);
  return high ? Vec16{{lo, hi, lo2, hi2}} : Vec16{{lo0, hi0, lo, hi}};
}

// For each 16 bytes of bf16 results that this thread ends up with: use(row of the tile, column of the tile, value).
// pair_of(i, h): columns 8 i + 2 c and + 1 of row h of the thread's two, packed. kCount column groups of 8, of the rows
// of a warp group from `first` on.
template <int kCount, class PairOf, class Use>
SIMT_INLINE void each_eight(int first, PairOf pair_of, Use use) {
  const int row = first + warp() % 4 * 16 + lane() / 4;
#pragma unroll
  for (int h = 0; h < 2; ++h)
#pragma unroll
    for (int i = 0; i < kCount; i += 4) {
      std::uint32_t v[4] = {pair_of(i, h), pair_of(i + 1, h), pair_of(i + 2, h), pair_of(i + 3, h)};
      const Vec16 eight = gather_eight(v);
      use(row + 8 * h, 8 * (i + lane() % 4), eight);
    }
}

}  // namespace wgmma_tile
}  // namespace layercost

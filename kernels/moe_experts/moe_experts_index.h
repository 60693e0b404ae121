// What:    device code that lists the pairs (token, j), numbered token * top_k + j, by expert, and cuts each expert's
//          pairs into tiles. A counting sort: count per expert, prefix sums over experts, place.
// Result:  order[s] = the pair at sorted place s; pairs of one expert in ascending order (stable, hence the same in
//          every run). tiles[i], i < most_tiles: experts in order, rows = 0 behind the last.
// Limits:  kIndexMostExperts experts: one thread each, and 16 warps' counters of each in 32 KB of shared memory.
// Included by .cu files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/moe_experts/moe_experts_tiles.h"
#include "kernels/simt/simt.h"

namespace layercost {
namespace moe_index {

using namespace simt;

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
static_assert(kThreads == kIndexMostExperts, "one thread per expert in the prefix sums");

struct Shared {
  // Pairs of each expert in each warp's part of the block's pairs; then where the next of them goes.
  Array<Array<int, kIndexMostExperts>, kWarps> at;
  Array<int, kWarps> warp_total;
};

// The part of pairs begin .. end - 1 that this warp goes through, 32 at a time.
struct Part {
  int begin, end;
};
SIMT_INLINE Part part_of_warp(int begin, int end) {
  const int chunks = (end - begin + 31) / 32, per_warp = (chunks + kWarps - 1) / kWarps;
  const int first = begin + warp() * per_warp * 32, last = first + per_warp * 32;
  return {first < end ? first : end, last < end ? last : end};
}

// s.at[w][e] = pairs of expert e in the part of warp w. Ends with a barrier.
SIMT_INLINE void count(Shared& s, const std::int32_t* ids, int experts, int begin, int end) {
  for (int e = lane(); e < experts; e += 32) s.at[warp()][e] = 0;
  sync_warp();
  const Part part = part_of_warp(begin, end);
  for (int pair = part.begin + lane(); pair < part.end; pair += 32) atomic_add(&s.at[warp()][ids[pair]], 1);
  sync_block();
}

// Sum of v over the threads before this one. All threads call it.
SIMT_INLINE int sum_before(Shared& s, int v) {
  int sum = v;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const int other = shuffle_up(sum, step);
    if (lane() >= step) sum += other;
  }
  sync_block();  // warp_total may still be read for an earlier sum
  if (lane() == 31) s.warp_total[warp()] = sum;
  sync_block();
  for (int w = 0; w < warp(); ++w) sum += s.warp_total[w];
  return sum - v;
}

// Thread e has the number of pairs of expert e (0 for e >= experts): writes the tiles, returns the first place of e.
SIMT_INLINE int cut_into_tiles(Shared& s, int pairs_of_expert, int tile_rows, PairTile* tiles, int most_tiles) {
  const int expert = static_cast<int>(threadIdx.x), needed = (pairs_of_expert + tile_rows - 1) / tile_rows;
  const int first = sum_before(s, pairs_of_expert), first_tile = sum_before(s, needed);
  for (int i = 0; i < needed; ++i) {
    const int left = pairs_of_expert - i * tile_rows;
    tiles[first_tile + i] = {expert, first + i * tile_rows, left < tile_rows ? left : tile_rows, 0};
  }
  // The last thread knows the number of tiles; it shares it in place of a total that nobody reads any more.
  sync_block();
  if (expert == kThreads - 1) s.warp_total[0] = first_tile + needed;
  sync_block();
  for (int i = s.warp_total[0] + expert; i < most_tiles; i += kThreads) tiles[i] = {0, 0, 0, 0};
  return first;
}

// Thread e turns the counts of expert e into the places where each warp's pairs of it begin; `place`: of warp 0. Ends
// with a barrier.
SIMT_INLINE void counts_to_places(Shared& s, int experts, int place) {
  const int expert = static_cast<int>(threadIdx.x);
  if (expert < experts)
    for (int w = 0; w < kWarps; ++w) {
      const int n = s.at[w][expert];
      s.at[w][expert] = place;
      place += n;
    }
  sync_block();
}

// order[place of pair] = pair for pairs begin .. end - 1.
SIMT_INLINE void place(Shared& s, const std::int32_t* ids, int begin, int end, std::int32_t* order) {
  const Part part = part_of_warp(begin, end);
  for (int chunk = part.begin; chunk < part.end; chunk += 32) {
    const int pair = chunk + lane();
    const int id = pair < part.end ? ids[pair] : -1;
    int before = 0, same = 0;  // lanes with the same expert
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      const bool equal = shuffle(id, i) == id;
      same += equal ? 1 : 0;
      before += equal && i < lane() ? 1 : 0;
    }
    const int first = id >= 0 ? s.at[warp()][id] : 0;
    sync_warp();
    if (id >= 0) order[first + before] = pair;
    if (id >= 0 && before == 0) s.at[warp()][id] = first + same;
    sync_warp();
  }
}

}  // namespace moe_index
}  // namespace layercost

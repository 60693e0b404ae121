// What:    three kernels that list the pairs (token, j) by expert and cut each expert's into tiles, for any number of
//          pairs: count, scan, place of kernels/moe_experts/moe_experts_index.h, kSortPairs pairs per block.
// Rules:   each starts while the one before it ends, and then waits for it before anything else.
// Included by .cu files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/moe_experts/moe_experts_index.h"

namespace layercost {
namespace moe_sort {
namespace {  // each kernel file its own copy

using namespace simt;

struct Arguments {
  int pairs, experts, tile_rows, most_tiles;
  const std::int32_t* ids;
  std::int32_t* counts;  // [blocks, kIndexMostExperts]: pairs of each expert; then their first place
  std::int32_t* order;   // [pairs]
  PairTile* tiles;       // [most_tiles]
};

struct Segment {  // of pairs, of this block
  int begin, end;
};
SIMT_INLINE Segment segment_of_block(const Arguments& p) {
  const int begin = static_cast<int>(blockIdx.x) * kSortPairs, left = p.pairs - begin;
  return {begin, begin + (left < kSortPairs ? left : kSortPairs)};
}

__global__ void __launch_bounds__(moe_index::kThreads) count(Arguments p) {
  grid_launch_dependents();
  grid_wait();
  auto& s = shared<moe_index::Shared>();
  const Segment segment = segment_of_block(p);
  moe_index::count(s, p.ids, p.experts, segment.begin, segment.end);
  const int expert = static_cast<int>(threadIdx.x);
  if (expert >= p.experts) return;
  int sum = 0;
  for (int w = 0; w < moe_index::kWarps; ++w) sum += s.at[w][expert];
  p.counts[blockIdx.x * kIndexMostExperts + expert] = sum;
}

// One block.
__global__ void __launch_bounds__(moe_index::kThreads) scan(Arguments p, int segments) {
  grid_wait();
  grid_launch_dependents();
  auto& s = shared<moe_index::Shared>();
  const int expert = static_cast<int>(threadIdx.x);
  int sum = 0;
  if (expert < p.experts)
    for (int i = 0; i < segments; ++i) sum += p.counts[i * kIndexMostExperts + expert];
  int at = moe_index::cut_into_tiles(s, sum, p.tile_rows, p.tiles, p.most_tiles);
  if (expert < p.experts)
    for (int i = 0; i < segments; ++i) {
      const int n = p.counts[i * kIndexMostExperts + expert];
      p.counts[i * kIndexMostExperts + expert] = at;
      at += n;
    }
}

__global__ void __launch_bounds__(moe_index::kThreads) place(Arguments p) {
  grid_wait();
  grid_launch_dependents();
  auto& s = shared<moe_index::Shared>();
  const Segment segment = segment_of_block(p);
  const int expert = static_cast<int>(threadIdx.x);
  moe_index::count(s, p.ids, p.experts, segment.begin, segment.end);
  moe_index::counts_to_places(s, p.experts, expert < p.experts ? p.counts[blockIdx.x * kIndexMostExperts + expert] : 0);
  moe_index::place(s, p.ids, segment.begin, segment.end, p.order);
}

int launch_sort(const Arguments& p, Stream stream) {
  const int segments = (p.pairs + kSortPairs - 1) / kSortPairs;
  Launch l{dim3(static_cast<unsigned>(segments)), dim3(moe_index::kThreads), sizeof(moe_index::Shared), stream,
           kOverlap};
  if (const int error = launch("moe_experts count", l, count, p); error != 0) return error;
  l.grid = dim3(1);
  if (const int error = launch("moe_experts scan", l, scan, p, segments); error != 0) return error;
  l.grid = dim3(static_cast<unsigned>(segments));
  return launch("moe_experts place", l, place, p);
}

}  // namespace
}  // namespace moe_sort
}  // namespace layercost

// The experts of many tokens on compute capability 9.0: as moe_experts_cuda_grouped.cu (sort, gate_up, down, combine),
// with wgmma in blocks that stay (kernels/cuda/wgmma_tile.h).
//
// gate_up: the producer warps gather rows of x with cp.async, up to 24 pieces of 16 bytes a thread and slice, and one
//   thread brings 96 gate rows and the 96 up rows of the same neurons with TMA. A stage is full when both have arrived;
//   the producers do not wait for that. Both sums of a neuron are in one thread, 48 registers apart, which stores
//   silu(gate) * up.
// down: both operands by TMA; h is contiguous in sorted order. A tile that reaches into the next expert's rows reads
//   them too and writes none of theirs.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts_cuda_wgmma_launch.h"

#include <algorithm>

#include "kernels/moe_experts/moe_experts_combine.h"
#include "kernels/moe_experts/moe_experts_sort.h"
#include "kernels/cuda/wgmma_tile.h"

namespace layercost {
namespace {

using namespace simt;
using namespace wgmma_tile;

static_assert(kRows == kMoeWgmmaTileRows, "as on the host");
constexpr int kGroup = 8;
constexpr int kNeurons = kColumns / 2;  // of gate_up's tile

struct Work {
  PairTile pairs;
  int column;
};
SIMT_INLINE Work work_of(const MoeExpertsCudaWgmma& p, int index, int across) {
  const int group = index / (kGroup * across), in_group = index % (kGroup * across);
  const int left = p.most_tiles - group * kGroup, tiles = left < kGroup ? left : kGroup;
  return {p.tiles[group * kGroup + in_group % tiles], in_group / tiles};
}

SIMT_INLINE int slices_of(int k) { return (k + kDepth - 1) / kDepth; }

// The producers of gate_up.
SIMT_INLINE void bring_gate_up(const MoeExpertsCudaWgmma& p, Shared& s, int across) {
  constexpr int kRowsAtOnce = kProducerThreads / kRowPieces;
  const int thread = static_cast<int>(threadIdx.x) - 32 * kConsumerWarps;
  const int my_row = thread / kRowPieces, piece = thread % kRowPieces;
  const int to_piece = my_row * kRowPieces + (piece ^ (my_row & 7));
  const int slices = slices_of(p.hidden);
  int slice = 0;
  for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, across);
    if (work.pairs.rows == 0) continue;
    for (int row = thread; row < kRows; row += kProducerThreads)
      s.source[row] = row < work.pairs.rows ? p.order[work.pairs.first + row] / p.top_k * (p.hidden / 8) : -1;
    sync_part(1, kProducerThreads);
    const int groups = groups_of(work.pairs.rows);
    const int gate_row = work.pairs.expert * 2 * p.ffn + work.column * kNeurons;
    for (int i = 0; i < slices; ++i, ++slice) {
      const Place at = place_of(slice);
      wait_empty(s, at);
      Stage& to = s.stages[at.stage];
      if (thread == 0) {
        mbarrier_arrive_expect(s.full[at.stage], 2 * kHalfBytes);
        bring_b(to, p.w_gate_up, s.full[at.stage], i * kDepth, gate_row, gate_row + p.ffn);
      }
      const int column = i * kRowPieces + piece;
      for (int g = 0; g < groups; ++g)
#pragma unroll
        for (int c = g * kGroupRows; c < (g + 1) * kGroupRows; c += kRowsAtOnce) {
          const int from = s.source[my_row + c];
          const bool valid = from >= 0 && 8 * column < p.hidden;
          cp_async16(&to.a[to_piece + c * kRowPieces], static_cast<const Vec16*>(p.x) + (valid ? from + column : 0),
                     valid);
        }
      cp_async_arrive(s.full[at.stage]);
    }
    sync_part(1, kProducerThreads);  // all have read `source`
  }
}

__global__ void __launch_bounds__(kThreads, 1) gate_up(const __grid_constant__ MoeExpertsCudaWgmma p, int across) {
  Shared& s = shared<Shared>();
  start(s, kProducerThreads + 1);
  grid_wait();
  grid_launch_dependents();
  const int slices = slices_of(p.hidden);
  if (is_producer()) {
    bring_gate_up(p, s, across);
    return;
  }
  Tile tile;
  int slice = 0;
  for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, across);
    if (work.pairs.rows == 0) continue;
    const bool idle = kGroupRows * group_of_warp() >= work.pairs.rows;
    tile.multiply<true>(s, slice, slices, idle);
    slice += slices;
    if (idle) continue;
    const int neuron = work.column * kNeurons;
    const auto activated = [&](int at) {
      const float g = tile.sums[at];
      return divide_fast(g, 1 + exp_fast(-g)) * tile.sums[kColumns / 4 + at];
    };
    each_eight<kNeurons / 8>(
        kGroupRows * group_of_warp(),
        [&](int i, int h) { return pack(activated(4 * i + 2 * h), activated(4 * i + 2 * h + 1)); },
        [&](int row, int column, const Vec16& eight) {
          if (row >= work.pairs.rows || neuron + column >= p.ffn) return;
          store16(static_cast<bf16*>(p.h_rows) + static_cast<std::int64_t>(work.pairs.first + row) * p.ffn + neuron +
                      column,
                  eight);
        });
  }
}

__global__ void __launch_bounds__(kThreads, 1) down(const __grid_constant__ MoeExpertsCudaWgmma p, int across) {
  Shared& s = shared<Shared>();
  start(s, 1);
  grid_wait();
  grid_launch_dependents();
  const int slices = slices_of(p.ffn);
  int slice = 0;
  if (is_producer()) {
    if (threadIdx.x != 32 * kConsumerWarps) return;
    for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across;
         index += static_cast<int>(gridDim.x)) {
      const Work work = work_of(p, index, across);
      if (work.pairs.rows == 0) continue;
      const int w_row = work.pairs.expert * p.hidden + work.column * kColumns;
      for (int i = 0; i < slices; ++i, ++slice) {
        const Place at = place_of(slice);
        wait_empty(s, at);
        bring_both(s.stages[at.stage], p.h, work.pairs.first, groups_of(work.pairs.rows), p.w_down, w_row,
                   s.full[at.stage], i * kDepth);
      }
    }
    return;
  }
  Tile tile;
  for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, across);
    if (work.pairs.rows == 0) continue;
    const bool idle = kGroupRows * group_of_warp() >= work.pairs.rows;
    tile.multiply<false>(s, slice, slices, idle);
    slice += slices;
    if (idle) continue;
    const int first_column = work.column * kColumns;
    each_eight<kColumns / 8>(
        kGroupRows * group_of_warp(),
        [&](int i, int h) { return pack(tile.sums[4 * i + 2 * h], tile.sums[4 * i + 2 * h + 1]); },
        [&](int row, int column, const Vec16& eight) {
          if (row >= work.pairs.rows || first_column + column >= p.hidden) return;
          const std::int64_t pair = p.order[work.pairs.first + row];
          store16(static_cast<bf16*>(p.results) + pair * p.hidden + first_column + column, eight);
        });
  }
}

}  // namespace

int launch_moe_experts_cuda_wgmma(const MoeExpertsCudaWgmma& p, Stream stream) {
  if (const int error = moe_sort::launch_sort(
          {p.tokens * p.top_k, p.experts, kRows, p.most_tiles, p.ids, p.counts, p.order, p.tiles}, stream);
      error != 0)
    return error;
  Launch l{{}, dim3(kThreads), sizeof(Shared), stream, kOverlap};
  const auto launch_tiles = [&](const char* name, auto* kernel, int across) {
    l.grid = dim3(static_cast<unsigned>(std::min(p.blocks, p.most_tiles * across)));
    return launch(name, l, kernel, p, across);
  };
  if (const int error = launch_tiles("moe_experts_cuda_wgmma gate_up", gate_up, (p.ffn + kNeurons - 1) / kNeurons);
      error != 0)
    return error;
  if (const int error = launch_tiles("moe_experts_cuda_wgmma down", down, (p.hidden + kColumns - 1) / kColumns);
      error != 0)
    return error;
  return moe_combination::launch_combine<bf16>("moe_experts_cuda_wgmma combine",
                                               {p.tokens, p.hidden, p.top_k, p.results, p.weights, p.residual, p.y},
                                               p.y_type, stream);
}

}  // namespace layercost

// The experts of many tokens on compute capability 9.0: as moe_experts_cuda_grouped.cu (sort, gate_up, down, combine),
// with wgmma in blocks that stay (kernels/shared/wgmma_tile.h).
//
// gate_up: all 128 threads of the producer group gather rows of x with cp.async, 8 pieces of 16 bytes each per slice,
//   and one of them brings 128 gate rows and the 128 up rows of the same neurons with TMA. A stage is full when both
//   have arrived; the producer does not wait for that.
//   Both sums of a neuron are in one thread, 64 registers apart, which stores silu(gate) * up.
// down: both operands by TMA; h is contiguous in sorted order. A tile that reaches into the next expert's rows reads
//   them too and writes none of theirs.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts_cuda_wgmma_launch.h"

#include <algorithm>

#include "kernels/moe_experts/moe_experts_combine.h"
#include "kernels/moe_experts/moe_experts_sort.h"
#include "kernels/shared/wgmma_tile.h"

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

// The producer group of gate_up, all of its threads.
SIMT_INLINE void bring_gate_up(const MoeExpertsCudaWgmma& p, Shared& s, int across) {
  constexpr int kRowsAtOnce = kGroupThreads / kRowPieces, kCopies = kRows / kRowsAtOnce;
  const int my_row = static_cast<int>(threadIdx.x) / kRowPieces, piece = static_cast<int>(threadIdx.x) % kRowPieces;
  const int to_piece = my_row * kRowPieces + (piece ^ (my_row & 7));
  const int slices = slices_of(p.hidden);
  int slice = 0;
  for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, across);
    if (work.pairs.rows == 0) continue;
    const bf16* from[kCopies];
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int row = my_row + i * kRowsAtOnce;
      const int token = row < work.pairs.rows ? p.order[work.pairs.first + row] / p.top_k : 0;
      from[i] = static_cast<const bf16*>(p.x) + static_cast<std::int64_t>(token) * p.hidden + 8 * piece;
    }
    const int gate_row = work.pairs.expert * 2 * p.ffn + work.column * kNeurons;
    for (int i = 0; i < slices; ++i, ++slice) {
      const Place at = place_of(slice);
      wait_empty(s, at);
      Stage& to = s.stages[at.stage];
      if (threadIdx.x == 0) {
        mbarrier_arrive_expect(s.full[at.stage], 2 * kBoxBytes);
        tma_load(&to.b[0], p.w_gate_up, s.full[at.stage], i * kDepth, gate_row);
        tma_load(&to.b[kBoxRows * kRowPieces], p.w_gate_up, s.full[at.stage], i * kDepth, gate_row + p.ffn);
      }
      const bool inside = i * kDepth + 8 * piece < p.hidden;
#pragma unroll
      for (int c = 0; c < kCopies; ++c) {
        const bool valid = inside && my_row + c * kRowsAtOnce < work.pairs.rows;
        cp_async16(&to.a[to_piece + c * kRowsAtOnce * kRowPieces], valid ? from[c] + i * kDepth : p.x, valid);
      }
      cp_async_arrive(s.full[at.stage]);
    }
  }
}

__global__ void __launch_bounds__(kThreads, 1) gate_up(const __grid_constant__ MoeExpertsCudaWgmma p, int across) {
  Shared& s = shared<Shared>();
  start(s, kGroupThreads + 1);
  grid_wait();
  grid_launch_dependents();
  const int slices = slices_of(p.hidden);
  if (group_of_thread() == 0) {
    registers_fewer<56>();
    bring_gate_up(p, s, across);
    return;
  }
  registers_more<224>();
  Tile tile;
  int slice = 0;
  for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, across);
    if (work.pairs.rows == 0) continue;
    const bool idle = 64 * (group_of_thread() - 1) >= work.pairs.rows;
    tile.multiply<true>(s, slice, slices, idle);
    slice += slices;
    if (idle) continue;
    const int neuron = work.column * kNeurons;
    const auto activated = [&](int at) {
      const float g = tile.sums[at];
      return divide_fast(g, 1 + exp_fast(-g)) * tile.sums[kColumns / 4 + at];
    };
    each_eight<kNeurons / 8>(
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
  if (group_of_thread() == 0) {
    registers_fewer<40>();
    if (threadIdx.x != 0) return;
    for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across;
         index += static_cast<int>(gridDim.x)) {
      const Work work = work_of(p, index, across);
      if (work.pairs.rows == 0) continue;
      const int w_row = work.pairs.expert * p.hidden + work.column * kColumns;
      for (int i = 0; i < slices; ++i, ++slice) {
        const Place at = place_of(slice);
        wait_empty(s, at);
        Stage& to = s.stages[at.stage];
        mbarrier_arrive_expect(s.full[at.stage], 3 * kBoxBytes);
        tma_load(&to.a[0], p.h, s.full[at.stage], i * kDepth, work.pairs.first);
        tma_load(&to.b[0], p.w_down, s.full[at.stage], i * kDepth, w_row);
        tma_load(&to.b[kBoxRows * kRowPieces], p.w_down, s.full[at.stage], i * kDepth, w_row + kBoxRows);
      }
    }
    return;
  }
  registers_more<232>();
  Tile tile;
  for (int index = static_cast<int>(blockIdx.x); index < p.most_tiles * across; index += static_cast<int>(gridDim.x)) {
    const Work work = work_of(p, index, across);
    if (work.pairs.rows == 0) continue;
    const bool idle = 64 * (group_of_thread() - 1) >= work.pairs.rows;
    tile.multiply<false>(s, slice, slices, idle);
    slice += slices;
    if (idle) continue;
    const int first_column = work.column * kColumns;
    each_eight<kColumns / 8>(
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
  return moe_combination::launch_combine<bf16>(
      "moe_experts_cuda_wgmma combine", {p.tokens, p.hidden, p.top_k, p.results, p.weights, p.residual, p.y}, p.y_type,
      stream);
}

}  // namespace layercost

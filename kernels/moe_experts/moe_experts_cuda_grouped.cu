// The experts of many tokens: bound by the tensor cores. Tiles of 128 (64) pairs of one expert x 256 or 128 weight
// rows, multiplied by the loop of kernels/cuda/mma_tile.h.
//
// count, scan, place: the pairs (token, j) sorted by expert and cut into tiles, 1024 pairs per block.
// gate_up: rows of x are gathered by index as they are copied to shared memory, so there is no permuted copy of x. Of
//   16 columns of a tile 8 are gate rows and 8 the up rows of the same neurons: the sums of both are in one thread,
//   which stores silu(gate) * up in sorted order.
// down: rows of h are contiguous; results in the order of pairs, so that combine reads one range per token.
// combine: y[t] = sum_j weights[t, j] * results[t, j] + residual.
//
// Order of tiles: groups of 8 tiles of pairs; in a group those first. Tiles of one expert follow each other, so its
// weight rows are read from memory once for up to 8 tiles of pairs, and the 8 tiles' rows of x or h stay in the L2
// cache. The grid holds the most tiles that there can be; a block behind the last leaves at once.
//
// Each kernel starts while the one before it ends, and then waits for it before anything else.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts_cuda_grouped_launch.h"

#include "kernels/moe_experts/moe_experts_combine.h"
#include "kernels/moe_experts/moe_experts_sort.h"
#include "kernels/cuda/mma_tile.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kGroup = 8;

template <int kShape>
struct Shape {
  static constexpr MmaShape is = kMoeGroupedShapes[kShape];
  using Tile = MmaTile<is.rows, is.columns, is.depth, is.warps_down, is.warps_across, is.stages>;
  static_assert(sizeof(typename Tile::Shared) == is.shared_bytes() && Tile::kThreads == is.threads(), "as on the host");
};

// Of this block: its tile of pairs, and its place among `across` blocks that share them.
struct Work {
  PairTile pairs;
  int column;
};
SIMT_INLINE Work work_of_block(const MoeExpertsCudaGrouped& p, int across) {
  const int group = static_cast<int>(blockIdx.x) / (kGroup * across);
  const int in_group = static_cast<int>(blockIdx.x) % (kGroup * across);
  const int left = p.most_tiles - group * kGroup, tiles = left < kGroup ? left : kGroup;
  return {p.tiles[group * kGroup + in_group % tiles], in_group / tiles};
}

SIMT_INLINE int blocks_across(int columns, int columns_per_block) {
  return (columns + columns_per_block - 1) / columns_per_block;
}

template <int kShape>
__global__ void __launch_bounds__(Shape<kShape>::is.threads(), Shape<kShape>::is.blocks)
    gate_up(MoeExpertsCudaGrouped p) {
  grid_wait();
  grid_launch_dependents();
  using Tile = typename Shape<kShape>::Tile;
  constexpr int kNeurons = Shape<kShape>::is.columns / 2;
  const Work work = work_of_block(p, blocks_across(p.ffn, kNeurons));
  if (work.pairs.rows == 0) return;
  const int neuron = work.column * kNeurons;
  const std::int32_t* order = p.order + work.pairs.first;

  Tile tile;
  tile.multiply(
      shared<typename Tile::Shared>(), static_cast<const bf16*>(p.x),
      [&](int i) { return i < work.pairs.rows ? order[i] / p.top_k : -1; },
      static_cast<const bf16*>(p.w_gate_up) + work.pairs.expert * std::int64_t{2} * p.ffn * p.hidden,
      [&](int j) {
        const int f = neuron + j / 16 * 8 + j % 8;
        return f >= p.ffn ? -1 : j % 16 < 8 ? f : p.ffn + f;
      },
      p.hidden);

  Pair gate{};
  tile.each([&](int i, int j, float v, float next) {
    if (j % 16 < 8) {  // the up sums of the same row and neurons are the next ones
      gate = {v, next};
      return;
    }
    const int f = neuron + j / 16 * 8 + j % 8;
    if (i >= work.pairs.rows || f >= p.ffn) return;
    store_pair(static_cast<bf16*>(p.h) + static_cast<std::int64_t>(work.pairs.first + i) * p.ffn + f,
               divide_fast(gate.lo, 1 + exp_fast(-gate.lo)) * v, divide_fast(gate.hi, 1 + exp_fast(-gate.hi)) * next);
  });
}

template <int kShape>
__global__ void __launch_bounds__(Shape<kShape>::is.threads(), Shape<kShape>::is.blocks) down(MoeExpertsCudaGrouped p) {
  grid_wait();
  grid_launch_dependents();
  using Tile = typename Shape<kShape>::Tile;
  constexpr int kColumns = Shape<kShape>::is.columns;
  const Work work = work_of_block(p, blocks_across(p.hidden, kColumns));
  if (work.pairs.rows == 0) return;
  const int column = work.column * kColumns;

  Tile tile;
  tile.multiply(
      shared<typename Tile::Shared>(), static_cast<const bf16*>(p.h),
      [&](int i) { return i < work.pairs.rows ? work.pairs.first + i : -1; },
      static_cast<const bf16*>(p.w_down) + work.pairs.expert * static_cast<std::int64_t>(p.hidden) * p.ffn,
      [&](int j) { return column + j < p.hidden ? column + j : -1; }, p.ffn);

  tile.each([&](int i, int j, float v, float next) {
    if (i >= work.pairs.rows || column + j >= p.hidden) return;
    const std::int64_t pair = p.order[work.pairs.first + i];
    store_pair(static_cast<bf16*>(p.results) + pair * p.hidden + column + j, v, next);
  });
}

int blocks_for(int n, int size) { return (n + size - 1) / size; }

template <int kShape>
int launch_products(const MoeExpertsCudaGrouped& p, Stream stream) {
  constexpr MmaShape is = kMoeGroupedShapes[kShape];
  Launch l{dim3(static_cast<unsigned>(p.most_tiles * blocks_for(p.ffn, is.columns / 2))), dim3(is.threads()),
           is.shared_bytes(), stream, kOverlap};
  if (const int error = launch("moe_experts_cuda_grouped gate_up", l, gate_up<kShape>, p); error != 0) return error;
  l.grid = dim3(static_cast<unsigned>(p.most_tiles * blocks_for(p.hidden, is.columns)));
  return launch("moe_experts_cuda_grouped down", l, down<kShape>, p);
}

}  // namespace

int launch_moe_experts_cuda_grouped(const MoeExpertsCudaGrouped& p, Stream stream) {
  if (const int error = moe_sort::launch_sort({p.tokens * p.top_k, p.experts, kMoeGroupedShapes[p.shape].rows,
                                               p.most_tiles, p.ids, p.counts, p.order, p.tiles},
                                              stream);
      error != 0)
    return error;
  const int error =
      with_index<kMoeGroupedShapeCount>(p.shape, [&](auto shape) { return launch_products<shape.value>(p, stream); });
  if (error != 0) return error;
  return moe_combination::launch_combine<bf16>("moe_experts_cuda_grouped combine",
                                               {p.tokens, p.hidden, p.top_k, p.results, p.weights, p.residual, p.y},
                                               p.y_type, stream);
}

}  // namespace layercost

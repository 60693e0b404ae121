// One tile of one expert's rows per block (kernels/cuda/mma_tile.h). A tile never crosses into the next expert's
// rows: it reads and writes fewer rows instead.
// Grid:    as many slots for tiles of rows as any offsets can need (MmaShape::row_tiles) times the tiles across n; a
//          block finds its tile from the offsets (kernels/grouped_linear/expert_tile.h), blocks without one leave.
// Order:   groups of 8 slots; in a group slots first. Slots of one expert follow each other, so that a tile's rows of w
//          are read from memory once for up to 8 tiles of rows, and the 8 tiles' rows of x stay in the L2 cache.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_tiles_launch.h"

#include "kernels/grouped_linear/expert_tile.h"
#include "kernels/cuda/mma_tile.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kGroup = 8;

template <int kShape>
struct Shape {
  static constexpr MmaShape is = kGroupedLinearCudaTiles[kShape];
  using Tile = MmaTile<is.rows, is.columns, is.depth, is.warps_down, is.warps_across, is.stages>;
  static_assert(sizeof(typename Tile::Shared) == is.shared_bytes() && Tile::kThreads == is.threads(),
                "as the host says");
};

template <class Y, class Tile>
SIMT_INLINE void write(const GroupedLinearCudaTiles& p, const Tile& tile, const ExpertTile& rows, int first_column) {
  Y* y = static_cast<Y*>(p.y);
  const bf16* bias = p.bias == nullptr ? nullptr : static_cast<const bf16*>(p.bias) + std::int64_t{rows.expert} * p.n;
  tile.each([&](int i, int j, float v, float next) {
    const int row = rows.row + i, column = first_column + j;
    if (row >= rows.end || column >= p.n) return;
    if (bias != nullptr) {
      v += to_float(bias[column]);
      if (column + 1 < p.n) next += to_float(bias[column + 1]);
    }
    Y* at = y + static_cast<std::int64_t>(row) * p.n + column;
    if (p.n % 2 == 0) {
      store_pair(at, v, next);
    } else {  // every other row starts in the middle of a pair
      store(at, v);
      if (column + 1 < p.n) store(at + 1, next);
    }
  });
}

template <int kShape>
__global__ void __launch_bounds__(Shape<kShape>::is.threads(), Shape<kShape>::is.blocks)
    tiles(GroupedLinearCudaTiles p, int slots) {
  grid_launch_dependents();
  grid_wait();
  constexpr MmaShape is = Shape<kShape>::is;
  using Tile = typename Shape<kShape>::Tile;
  typename Tile::Shared& s = shared<typename Tile::Shared>();

  const int across = (p.n + is.columns - 1) / is.columns;
  const int group = static_cast<int>(blockIdx.x) / (kGroup * across);
  const int in_group = static_cast<int>(blockIdx.x) % (kGroup * across);
  const int left = slots - group * kGroup, slots_of_group = left < kGroup ? left : kGroup;
  const ExpertTile rows = find_expert_tile<is.rows>(static_cast<const std::int32_t*>(p.offsets), p.experts,
                                                    group * kGroup + in_group % slots_of_group);
  if (rows.expert < 0) return;
  const int first_column = in_group / slots_of_group * is.columns;

  Tile tile;
  tile.multiply(
      s, static_cast<const bf16*>(p.x), [&](int i) { return rows.row + i < rows.end ? rows.row + i : -1; },
      static_cast<const bf16*>(p.w) + static_cast<std::int64_t>(rows.expert) * p.n * p.k,
      [&](int j) { return first_column + j < p.n ? first_column + j : -1; }, p.k);
  switch (p.y_type) {
    case Type::f32: write<float>(p, tile, rows, first_column); break;
    case Type::bf16: write<bf16>(p, tile, rows, first_column); break;
  }
}

template <int kShape>
int launch_shape(const GroupedLinearCudaTiles& p, Stream stream) {
  constexpr MmaShape is = kGroupedLinearCudaTiles[kShape];
  const int slots = is.row_tiles(p.rows, p.experts), across = (p.n + is.columns - 1) / is.columns;
  const Launch l{dim3(static_cast<unsigned>(slots * across)), dim3(is.threads()), is.shared_bytes(), stream, kOverlap};
  return launch("grouped_linear_cuda_tiles", l, tiles<kShape>, p, slots);
}

}  // namespace

int launch_grouped_linear_cuda_tiles(const GroupedLinearCudaTiles& p, Stream stream) {
  return with_index<kGroupedLinearCudaTilesShapes>(p.shape,
                                                   [&](auto shape) { return launch_shape<shape.value>(p, stream); });
}

}  // namespace layercost

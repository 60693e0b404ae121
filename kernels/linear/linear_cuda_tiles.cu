// One tile of y per block (kernels/cuda/mma_tile.h), bias and residual added to the sums in registers.
// Order of tiles: groups of 8 tiles of rows; in a group rows first. The blocks that run together then read 8 tiles'
// rows of x and as many rows of w as there are blocks for, and both stay in the L2 cache while they are needed.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_tiles_launch.h"

#include "kernels/cuda/mma_tile.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kGroup = 8;

template <int kShape>
struct Shape {
  static constexpr MmaShape is = kLinearCudaTiles[kShape];
  using Tile = MmaTile<is.rows, is.columns, is.depth, is.warps_down, is.warps_across, is.stages>;
  static_assert(sizeof(typename Tile::Shared) == is.shared_bytes() && Tile::kThreads == is.threads(),
                "as the host says");
};

template <class Y, class Tile>
SIMT_INLINE void write(const LinearCudaTiles& p, const Tile& tile, int first_row, int first_column) {
  const bf16* bias = static_cast<const bf16*>(p.bias);
  const Y* residual = static_cast<const Y*>(p.residual);
  Y* y = static_cast<Y*>(p.y);
  tile.each([&](int i, int j, float v, float next) {
    const int row = first_row + i, column = first_column + j;
    if (row >= p.m || column >= p.n) return;
    const std::int64_t at = static_cast<std::int64_t>(row) * p.n + column;
    const bool pair = column + 1 < p.n;
    if (bias != nullptr) {
      v += to_float(bias[column]);
      if (pair) next += to_float(bias[column + 1]);
    }
    if (residual != nullptr) {
      v += to_float(residual[at]);
      if (pair) next += to_float(residual[at + 1]);
    }
    if (p.n % 2 == 0) {
      store_pair(y + at, v, next);
    } else {  // every other row starts in the middle of a pair
      store(y + at, v);
      if (pair) store(y + at + 1, next);
    }
  });
}

template <int kShape>
__global__ void __launch_bounds__(Shape<kShape>::is.threads(), Shape<kShape>::is.blocks) tiles(LinearCudaTiles p) {
  constexpr MmaShape is = Shape<kShape>::is;
  using Tile = typename Shape<kShape>::Tile;
  typename Tile::Shared& s = shared<typename Tile::Shared>();

  const int down = (p.m + is.rows - 1) / is.rows, across = (p.n + is.columns - 1) / is.columns;
  const int group = static_cast<int>(blockIdx.x) / (kGroup * across);
  const int in_group = static_cast<int>(blockIdx.x) % (kGroup * across);
  const int left = down - group * kGroup, rows_of_group = left < kGroup ? left : kGroup;
  const int first_row = (group * kGroup + in_group % rows_of_group) * is.rows;
  const int first_column = in_group / rows_of_group * is.columns;

  Tile tile;
  tile.multiply(
      s, static_cast<const bf16*>(p.x), [&](int i) { return first_row + i < p.m ? first_row + i : -1; },
      static_cast<const bf16*>(p.w), [&](int j) { return first_column + j < p.n ? first_column + j : -1; }, p.k);
  switch (p.y_type) {
    case Type::f32: write<float>(p, tile, first_row, first_column); break;
    case Type::bf16: write<bf16>(p, tile, first_row, first_column); break;
  }
}

template <int kShape>
int launch_shape(const LinearCudaTiles& p, Stream stream) {
  constexpr MmaShape is = kLinearCudaTiles[kShape];
  const int down = (p.m + is.rows - 1) / is.rows, across = (p.n + is.columns - 1) / is.columns;
  const Launch l{dim3(static_cast<unsigned>(down * across)), dim3(is.threads()), is.shared_bytes(), stream};
  return launch("linear_cuda_tiles", l, tiles<kShape>, p);
}

}  // namespace

int launch_linear_cuda_tiles(const LinearCudaTiles& p, Stream stream) {
  return with_index<kLinearCudaTilesShapes>(p.shape, [&](auto shape) { return launch_shape<shape.value>(p, stream); });
}

}  // namespace layercost

// The offsets are known on the device only, so the grid has as many tiles of 64 rows as there can be: rows / 64, and
// one partly filled tile for each expert that can have rows. A block finds its expert by counting tiles along the
// offsets, and returns where there is no such tile.
// Up to 32 rows, `dots`: a warp per row and column, whose expert it finds by bisection.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_plain_launch.h"

#include "kernels/cuda/plain_tile.h"
#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kColumns = kPlainThreads / 32;  // per block of `dots`
constexpr std::int64_t kFewRows = 32;

SIMT_INLINE void store_sum(const GroupedLinearCudaPlain& p, std::int64_t expert, std::int64_t row, std::int64_t column,
                           float sum) {
  float v[1] = {0};
  if (p.bias != nullptr) load_typed(p.bias_type, p.bias, expert * p.n + column, v);
  v[0] += sum;
  store_typed(p.y_type, p.y, row * p.n + column, v);
}

struct TileRows {
  std::int64_t expert, first, end;  // end == 0: there is no such tile
};

// Tile number `wanted` when the experts' rows are cut into tiles one expert after the other. Each lane counts the tiles
// of one of 32 experts. All lanes of a warp call this.
SIMT_INLINE TileRows find_tile(const GroupedLinearCudaPlain& p, int wanted) {
  for (std::int64_t e = 0; e < p.experts; e += 32) {
    const std::int64_t mine = e + lane();
    const int first = mine < p.experts ? p.offsets[mine] : 0, end = mine < p.experts ? p.offsets[mine + 1] : 0;
    const int tiles = (end - first + kPlainTile - 1) / kPlainTile;
    int upto = tiles;  // tiles of this lane's expert and the ones before it
    for (int distance = 1; distance < 32; distance *= 2) {
      const int left = shuffle_up(upto, distance);
      if (lane() >= distance) upto += left;
    }
    const std::uint32_t beyond = ballot(wanted < upto);
    if (beyond != 0) {
      int found = 0;
      while ((beyond >> found & 1u) == 0) ++found;
      const int row = first + (wanted - (upto - tiles)) * kPlainTile;
      return {e + found, shuffle(row, found), shuffle(end, found)};
    }
    wanted -= shuffle(upto, 31);
  }
  return {0, 0, 0};
}

template <class X, class W>
__global__ void __launch_bounds__(kPlainThreads) tiles(GroupedLinearCudaPlain p, unsigned row_tiles) {
  const TileRows tile = find_tile(p, static_cast<int>(blockIdx.x % row_tiles));
  if (tile.end == 0) return;  // the whole block
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x / row_tiles) * kPlainTile;
  float acc[4][4] = {};
  plain_tile(shared<PlainShared>(), static_cast<const X*>(p.x) + tile.first * p.k, tile.end - tile.first,
             static_cast<const W*>(p.w) + (tile.expert * p.n + column) * p.k, p.n - column, p.k, acc);
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const std::int64_t r = tile.first + thread / 16 * 4 + i, c = column + thread % 16 * 4 + j;
      if (r < tile.end && c < p.n) store_sum(p, tile.expert, r, c, acc[i][j]);
    }
}

template <class X, class W>
__global__ void __launch_bounds__(kPlainThreads) dots(GroupedLinearCudaPlain p, unsigned column_blocks) {
  const std::int64_t row = blockIdx.x / column_blocks;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x % column_blocks) * kColumns + warp();
  if (column >= p.n) return;  // whole warps, and no barrier follows
  // The last expert whose rows begin at or before this one: those without rows lie before it.
  std::int64_t expert = 0, above = p.experts;
  while (above - expert > 1) {
    const std::int64_t middle = (expert + above) / 2;
    if (p.offsets[middle] <= row) expert = middle;
    else above = middle;
  }
  float sum[kPlainRows];
  plain_dots(static_cast<const X*>(p.x) + row * p.k, 1, static_cast<const W*>(p.w) + (expert * p.n + column) * p.k, p.k,
             sum);
  if (lane() == 0) store_sum(p, expert, row, column, sum[0]);
}

}  // namespace

int launch_grouped_linear_cuda_plain(const GroupedLinearCudaPlain& p, Stream stream) {
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.w_type, [&](auto* w) {
      using X = std::remove_pointer_t<decltype(x)>;
      using W = std::remove_pointer_t<decltype(w)>;
      if (p.rows <= kFewRows) {
        const auto column_blocks = static_cast<unsigned>((p.n + kColumns - 1) / kColumns);
        const dim3 grid(static_cast<unsigned>(p.rows) * column_blocks);
        return launch("grouped_linear_cuda_plain dots", {grid, dim3(kPlainThreads), 0, stream}, dots<X, W>, p,
                      column_blocks);
      }
      const std::int64_t most = p.rows / kPlainTile + (p.experts < p.rows ? p.experts : p.rows);
      const auto row_tiles = static_cast<unsigned>(most);
      const dim3 grid(row_tiles * static_cast<unsigned>((p.n + kPlainTile - 1) / kPlainTile));
      return launch("grouped_linear_cuda_plain tiles", {grid, dim3(kPlainThreads), sizeof(PlainShared), stream},
                    tiles<X, W>, p, row_tiles);
    });
  });
}

}  // namespace layercost

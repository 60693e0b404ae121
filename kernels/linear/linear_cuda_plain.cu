// `tiles`: a block per tile of 64 x 64. `dots`, for up to four rows: a warp per column, eight columns per block. Both
// in kernels/cuda/plain_tile.h; here are bias, residual and the edges.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_plain_launch.h"

#include "kernels/cuda/plain_tile.h"
#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kColumns = kPlainThreads / 32;  // per block of `dots`

SIMT_INLINE void finish(const LinearCudaPlain& p, std::int64_t row, std::int64_t column, float sum) {
  if (row >= p.m || column >= p.n) return;
  float v[1];
  if (p.bias != nullptr) {
    load_typed(p.w_type, p.bias, column, v);
    sum += v[0];
  }
  if (p.residual != nullptr) {
    load_typed(p.y_type, p.residual, row * p.n + column, v);
    sum += v[0];
  }
  v[0] = sum;
  store_typed(p.y_type, p.y, row * p.n + column, v);
}

template <class X, class W>
__global__ void __launch_bounds__(kPlainThreads) tiles(LinearCudaPlain p, unsigned row_tiles) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x % row_tiles) * kPlainTile;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x / row_tiles) * kPlainTile;
  float acc[4][4] = {};
  plain_tile(shared<PlainShared>(), static_cast<const X*>(p.x) + row * p.k, p.m - row,
             static_cast<const W*>(p.w) + column * p.k, p.n - column, p.k, acc);
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) finish(p, row + thread / 16 * 4 + i, column + thread % 16 * 4 + j, acc[i][j]);
}

template <class X, class W>
__global__ void __launch_bounds__(kPlainThreads) dots(LinearCudaPlain p) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kColumns + warp();
  if (column >= p.n) return;  // whole warps, and no barrier follows
  float sum[kPlainRows];
  plain_dots(static_cast<const X*>(p.x), p.m, static_cast<const W*>(p.w) + column * p.k, p.k, sum);
#pragma unroll
  for (int i = 0; i < kPlainRows; ++i)
    if (lane() == i) finish(p, i, column, sum[i]);
}

}  // namespace

int launch_linear_cuda_plain(const LinearCudaPlain& p, Stream stream) {
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.w_type, [&](auto* w) {
      using X = std::remove_pointer_t<decltype(x)>;
      using W = std::remove_pointer_t<decltype(w)>;
      if (p.m <= kPlainRows) {
        const dim3 grid(static_cast<unsigned>((p.n + kColumns - 1) / kColumns));
        return launch("linear_cuda_plain dots", {grid, dim3(kPlainThreads), 0, stream}, dots<X, W>, p);
      }
      // Along m first: blocks that run at the same time share rows of w.
      const auto row_tiles = static_cast<unsigned>((p.m + kPlainTile - 1) / kPlainTile);
      const dim3 grid(row_tiles * static_cast<unsigned>((p.n + kPlainTile - 1) / kPlainTile));
      return launch("linear_cuda_plain tiles", {grid, dim3(kPlainThreads), sizeof(PlainShared), stream}, tiles<X, W>, p,
                    row_tiles);
    });
  });
}

}  // namespace layercost

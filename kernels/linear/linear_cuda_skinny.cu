// Few rows of x, on the tensor cores: reading w is still nearly all of the cost. The operands are swapped,
// y^T = w x^T, so that 16 rows of w meet 8 rows of x in an m16n8k16 product and few rows of x waste little.
// Does:    a block takes 16 to 64 rows of w. Its warps divide k among them, 64 columns in turn: neighbours in time are
//          neighbours in memory. Each warp has a pipeline of its own (cp.async, 2 to 4 stages of 64 columns of the
//          block's rows of w and of x) and waits for nobody until the warps' sums are added, in the order of the warps,
//          through shared memory. The first stages of w are asked for before the launch before has ended. On their way
//          per multiprocessor, with two blocks: 64 to 96 KB of w.
// Limit:   x comes from the L2 cache again for every block: tokens / rows of the traffic of w. Many rows per block are
//          better for that, as long as there are blocks for all multiprocessors.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_skinny_launch.h"

#include "kernels/cuda/mma_tile.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kChunks = 8, kSteps = 4;  // of 16 bytes, of 16 columns, in 64 columns

template <int kShape>
struct Shape {
  static constexpr LinearCudaSkinnyShape is = kLinearCudaSkinny[kShape];
  struct Stage {
    Array<Vec16, is.rows * kChunks> w;
    Array<Vec16, is.tokens * kChunks> x;
  };
  struct Shared {
    Array<Array<Stage, is.stages>, is.warps> stages;
  };
  // The same memory, when the pipelines have run dry. A token's sums are padded by 4: the 4 lanes that hold
  // neighbouring tokens of a fragment write to different banks.
  struct Sums {
    Array<Array<Array<float, is.rows + 4>, is.tokens>, is.warps> of;
  };
  static_assert(sizeof(Shared) == is.shared_bytes() && sizeof(Sums) <= sizeof(Shared), "as the host says");
};

// The right operands for all tokens of two steps, `step` (even) and the next.
template <int kTokens, int kSize>
SIMT_INLINE void load_tokens(std::uint32_t (&b)[2][kTokens / 8][2], const Array<Vec16, kSize>& x, int step) {
  if constexpr (kTokens == 8) {  // 8 rows: the four matrices are the halves of the two steps
    std::uint32_t r[4];
    ldmatrix_x4(r, &x[swizzled<kChunks>(lane() & 7, 2 * step + (lane() >> 3))]);
    b[0][0][0] = r[0];
    b[0][0][1] = r[1];
    b[1][0][0] = r[2];
    b[1][0][1] = r[3];
  } else {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int t = 0; t < kTokens / 8; t += 2) load_right<kChunks>(b[half][t], b[half][t + 1], x, 8 * t, step + half);
  }
}

template <class Y>
SIMT_INLINE void write(const LinearCudaSkinny& p, int token, int row, float v) {
  const std::int64_t at = static_cast<std::int64_t>(token) * p.n + row;
  if (p.bias != nullptr) v += to_float(static_cast<const bf16*>(p.bias)[row]);
  if (p.residual != nullptr) v += to_float(static_cast<const Y*>(p.residual)[at]);
  store(static_cast<Y*>(p.y) + at, v);
}

template <int kShape>
__global__ void __launch_bounds__(32 * Shape<kShape>::is.warps, 2) skinny(LinearCudaSkinny p) {
  grid_launch_dependents();
  constexpr LinearCudaSkinnyShape is = Shape<kShape>::is;
  constexpr int kRowTiles = is.rows / 16, kTokenTiles = is.tokens / 8;
  auto& stages = shared<typename Shape<kShape>::Shared>().stages[warp()];
  const int chunks = p.k / 8, first_row = static_cast<int>(blockIdx.x) * is.rows;

  // Lane l copies chunk l % 8 of rows l / 8, l / 8 + 4 ...
  const int row = lane() / kChunks, chunk = lane() % kChunks;
  const Vec16* w = static_cast<const Vec16*>(p.w) + static_cast<std::int64_t>(first_row) * chunks;
  const Vec16* x = static_cast<const Vec16*>(p.x);
  const int rows_left = p.n - first_row;
  const int of_all = (chunks + kChunks - 1) / kChunks;
  const int slices = (of_all - warp() + is.warps - 1) / is.warps;  // this warp's; 0 if k has fewer than there are warps
  const auto column = [&](int slice) { return (slice * is.warps + warp()) * kChunks + chunk; };
  const auto copy_w = [&](int slice) {
    if (slice >= slices) return;
    const int at = column(slice);
#pragma unroll
    for (int i = 0; i < is.rows; i += 4) {
      const bool valid = at < chunks && row + i < rows_left;  // else zeros: the last slice may be a partial one
      cp_async16(&stages[slice % is.stages].w[swizzled<kChunks>(row + i, chunk)],
                 w + (valid ? (row + i) * chunks + at : 0), valid);
    }
  };
  const auto copy_x = [&](int slice) {
    if (slice >= slices) return;
    const int at = column(slice);
#pragma unroll
    for (int i = 0; i < is.tokens; i += 4) {
      const bool valid = at < chunks && row + i < p.m;
      cp_async16(&stages[slice % is.stages].x[swizzled<kChunks>(row + i, chunk)],
                 x + (valid ? (row + i) * chunks + at : 0), valid);
    }
  };

  float sums[kRowTiles][kTokenTiles][4] = {};
#pragma unroll
  for (int i = 0; i < is.stages - 1; ++i) copy_w(i);
  grid_wait();
#pragma unroll
  for (int i = 0; i < is.stages - 1; ++i) {
    copy_x(i);
    cp_async_commit();  // the first one holds the weights of all these slices
  }
#pragma unroll 1
  for (int slice = 0; slice < slices; ++slice) {
    cp_async_wait<is.stages - 2>();
    sync_warp();  // the slice is there for all lanes, and all are done with the one before, whose place is next
    copy_w(slice + is.stages - 1);
    copy_x(slice + is.stages - 1);
    cp_async_commit();  // an empty group, too, so that the waits can count
    const auto& from = stages[slice % is.stages];
#pragma unroll
    for (int step = 0; step < kSteps; step += 2) {
      std::uint32_t b[2][kTokenTiles][2];
      load_tokens<is.tokens>(b, from.x, step);
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          std::uint32_t a[4];
          load_left<kChunks>(a, from.w, 16 * r, step + half);
#pragma unroll
          for (int t = 0; t < kTokenTiles; ++t) mma_bf16(sums[r][t], a, b[half][t]);
        }
    }
  }

  sync_block();  // all pipelines are dry
  auto& of = shared<typename Shape<kShape>::Sums>().of;
#pragma unroll
  for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
    for (int t = 0; t < kTokenTiles; ++t)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        of[warp()][8 * t + 2 * (lane() % 4) + e % 2][16 * r + lane() / 4 + 8 * (e / 2)] = sums[r][t][e];
  sync_block();
  for (int i = static_cast<int>(threadIdx.x); i < is.rows * p.m; i += 32 * is.warps) {
    const int r = i % is.rows, token = i / is.rows;
    if (r >= rows_left) continue;
    float sum = 0;
#pragma unroll
    for (int part = 0; part < is.warps; ++part) sum += of[part][token][r];
    switch (p.y_type) {
      case Type::f32: write<float>(p, token, first_row + r, sum); break;
      case Type::bf16: write<bf16>(p, token, first_row + r, sum); break;
    }
  }
}

template <int kShape>
int launch_shape(const LinearCudaSkinny& p, Stream stream) {
  constexpr LinearCudaSkinnyShape is = kLinearCudaSkinny[kShape];
  const Launch l{dim3(static_cast<unsigned>((p.n + is.rows - 1) / is.rows)), dim3(32 * is.warps), is.shared_bytes(),
                 stream, kOverlap};
  return launch("linear_cuda_skinny", l, skinny<kShape>, p);
}

}  // namespace

int launch_linear_cuda_skinny(const LinearCudaSkinny& p, Stream stream) {
  return with_index<kLinearCudaSkinnyShapes>(p.shape, [&](auto shape) { return launch_shape<shape.value>(p, stream); });
}

}  // namespace layercost

// Many queries: the time is that of the products. A block of four warps has 128 or 64 queries of one head, 32 or 16 per
// warp, whose sums stay in registers, and walks over tiles of 64 keys.
//
// 32 queries per warp: each fragment of keys and values read from shared memory serves two products. With 16 a warp
// reads 32 KB per tile for 2 x 2 x 16 x 64 x 128 flops: 256 cycles of shared memory at 128 bytes, in which the tensor
// cores of 9.0 could do up to twice as many. Sums and scores take 128 + 64 registers, so the queries stay in shared
// memory. 16 queries per warp, these in registers, for few queries (twice as many blocks) and for devices on whose
// multiprocessors two blocks of the larger kind do not fit.
//
// One buffer for keys and one for values: values come in while the scores are computed, the next keys while the weights
// and sums are. That is 64 KB, with which two blocks share a multiprocessor also on 8.0, and one computes while the
// other waits.
//
// Blocks are started with the last queries first: with a causal mask these see most keys, and short blocks fill the end
// of the grid. Heads are neighbours in the grid, so that those of one kv head meet in the L2 cache. Tiles outside of
// what the queries see are skipped; only tiles at an edge are masked.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_prefill_launch.h"

#include "kernels/attention/attention_cuda_tiles.h"

namespace layercost {
namespace {

using namespace attention_tiles;

constexpr int kWarps = 4, kThreads = 32 * kWarps;

template <int kDim, int kFragments>
struct Shared {
  Rows<kDim, 16 * kFragments * kWarps> q;  // at the end: y
  Rows<kDim, kTileKeys> k, v;
};

// Rows of kDim values that lie `stride` apart, to shared memory by the whole block; zeros from row `count` on.
template <int kDim, int kRows>
SIMT_INLINE void copy_rows(Rows<kDim, kRows>& to, const bf16* from, std::int64_t stride, int count) {
  constexpr int kPieces = kDim / 8, kAtOnce = kThreads / kPieces;
  const int row = static_cast<int>(threadIdx.x) / kPieces, piece = static_cast<int>(threadIdx.x) % kPieces;
  from += row * stride + 8 * piece;
#pragma unroll
  for (int i = 0; i < kRows; i += kAtOnce) cp_async16(to.at(row + i, piece), from + i * stride, row + i < count);
}

template <int kDim, int kFragments>
__global__ void __launch_bounds__(kThreads, 2) prefill(AttentionCudaPrefill p) {
  constexpr int kWarpRows = 16 * kFragments, kQueries = kWarpRows * kWarps, kSteps = kDim / 16;
  constexpr bool kKeepQueries = kFragments == 1;
  Shared<kDim, kFragments>& s = shared<Shared<kDim, kFragments>>();

  const int heads = p.batch * p.heads, index = static_cast<int>(blockIdx.x);
  const int first_query = ((p.q_len + kQueries - 1) / kQueries - 1 - index / heads) * kQueries;
  const int batch = index % heads / p.heads, head = index % p.heads;
  const int queries = p.q_len - first_query < kQueries ? p.q_len - first_query : kQueries;
  const std::int64_t row_stride = static_cast<std::int64_t>(p.heads) * kDim;
  const std::int64_t place = (static_cast<std::int64_t>(batch) * p.q_len + first_query) * row_stride + head * kDim;
  const std::int64_t slots =
      (static_cast<std::int64_t>(batch) * p.kv_heads + head / (p.heads / p.kv_heads)) * p.capacity;

  // The first query sees keys up to `diagonal`, each further one a key more.
  const int diagonal = p.kv_len - p.q_len + first_query;
  const int end = diagonal + queries;
  const int begin = p.chunk > 0 ? diagonal / p.chunk * p.chunk : diagonal + 1 > p.window ? diagonal + 1 - p.window : 0;

  const bf16* k = static_cast<const bf16*>(p.k) + (slots + begin) * kDim;  // of the tile that is read next
  const bf16* v = static_cast<const bf16*>(p.v) + (slots + begin) * kDim;
  copy_rows(s.q, static_cast<const bf16*>(p.q) + place, row_stride, queries);
  copy_rows(s.k, k, kDim, end - begin);
  cp_async_commit();

  const int warp_row = kWarpRows * warp();
  // Columns 16 step ... of this warp's queries.
  const auto load_queries = [&](int step, std::uint32_t (&q)[kFragments][4]) {
#pragma unroll
    for (int f = 0; f < kFragments; ++f)
      ldmatrix_x4(q[f], s.q.at(warp_row + 16 * f + lane() % 16, 2 * step + lane() / 16));
  };
  std::uint32_t kept[kKeepQueries ? kSteps : 1][kFragments][4];

  Softmax softmax[kFragments];
  if (p.sinks != nullptr) {
    // As a key that was seen before all others; a row's four lanes are added up at the end.
    const float sink = p.sinks[head] * p.sink_factor;
#pragma unroll
    for (int f = 0; f < kFragments; ++f)
#pragma unroll
      for (int h = 0; h < 2; ++h) softmax[f].max[h] = sink, softmax[f].sum[h] = lane() % 4 == 0 ? 1.0f : 0.0f;
  }
  float sums[kFragments][kDim / 8][4] = {};
  for (int first = begin; first < end; first += kTileKeys) {
    // The keys are there for all, and all are done with the values before.
    cp_async_wait<0>();
    sync_block();
    copy_rows(s.v, v, kDim, end - first);
    v += kTileKeys * kDim;
    cp_async_commit();

    float scores[kFragments][kTileKeys / 8][4] = {};
    if constexpr (kKeepQueries) {
      if (first == begin) {
#pragma unroll
        for (int step = 0; step < kSteps; ++step) load_queries(step, kept[step]);
      }
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      if constexpr (kKeepQueries) {
        multiply<kFragments, kTileKeys>(s.k, 0, step, kept[step], scores);
      } else {
        std::uint32_t q[kFragments][4];
        load_queries(step, q);
        multiply<kFragments, kTileKeys>(s.k, 0, step, q, scores);
      }
    }

    // The values are there for all, and all are done with these keys. The next ones are asked for when the scores have
    // become weights, which need fewer registers: before that, a few would spill.
    cp_async_wait<0>();
    sync_block();
    const int warp_diagonal = diagonal + warp_row;
    if (first + kTileKeys > warp_diagonal + 1 || first < warp_diagonal + kWarpRows - p.window) {
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
        const int position = warp_diagonal + 16 * f + lane() / 4;
        mask<kTileKeys>(scores[f], first, {position, position + 8}, p.window);
      }
    }
    // What is left of the diagonal lies within one chunk or not, whatever its tile.
    if (p.chunk > 0 && (warp_diagonal + kWarpRows - 1) / p.chunk * p.chunk > first) {
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
        const int position = warp_diagonal + 16 * f + lane() / 4;
        mask_chunks<kTileKeys>(scores[f], first, {position, position + 8}, p.chunk);
      }
    }
#pragma unroll
    for (int f = 0; f < kFragments; ++f) soften<kTileKeys, kDim>(scores[f], p.scale, softmax[f], sums[f]);
    k += kTileKeys * kDim;
    if (first + kTileKeys < end) copy_rows(s.k, k, kDim, end - first - kTileKeys);
    cp_async_commit();

    weigh<kFragments, kTileKeys, kDim>(s.v, 0, scores, sums);
  }

  // Through the warp's own queries' place, so that y is written in rows of 16-byte pieces.
#pragma unroll
  for (int f = 0; f < kFragments; ++f) {
    add_lanes(softmax[f]);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float factor = 1.0f / softmax[f].sum[h];
#pragma unroll
      for (int i = 0; i < kDim / 8; ++i)
        s.q.at(warp_row + 16 * f + 8 * h + lane() / 4, i)->word[lane() % 4] =
            pack(sums[f][i][2 * h] * factor, sums[f][i][2 * h + 1] * factor);
    }
  }
  sync_warp();
#pragma unroll
  for (int i = 0; i < kWarpRows * (kDim / 8) / 32; ++i) {
    const int at = 32 * i + lane(), row = warp_row + at / (kDim / 8), piece = at % (kDim / 8);
    if (row < queries)
      *reinterpret_cast<Vec16*>(static_cast<bf16*>(p.y) + place + row * row_stride + 8 * piece) = *s.q.at(row, piece);
  }
}

template <int kDim, int kFragments>
int launch_prefill(const AttentionCudaPrefill& p, Stream stream) {
  constexpr int kQueries = 16 * kFragments * kWarps;
  static_assert(sizeof(Shared<kDim, kFragments>) == attention_cuda_prefill_shared_bytes(kDim, kQueries));
  const int blocks = (p.q_len + kQueries - 1) / kQueries * p.batch * p.heads;
  const Launch l{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), sizeof(Shared<kDim, kFragments>), stream};
  return launch("attention_cuda_prefill", l, prefill<kDim, kFragments>, p);
}

}  // namespace

int launch_attention_cuda_prefill(const AttentionCudaPrefill& p, Stream stream) {
  if (p.dim == 64) return p.block_queries == 64 ? launch_prefill<64, 1>(p, stream) : launch_prefill<64, 2>(p, stream);
  return p.block_queries == 64 ? launch_prefill<128, 1>(p, stream) : launch_prefill<128, 2>(p, stream);
}

}  // namespace layercost

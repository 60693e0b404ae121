// Attention over latents: the heads of a query are rows of the same products, 16 to a block, and each key is read once
// by the block, as a key and as a value. A block has four warps and takes tiles of 32 keys, two in shared memory: one
// is copied while the other is used.
//
// Scores: two warps have 16 keys each, and two of them one half of the 576 dims each; the halves meet in shared memory.
// Softmax: every warp makes all 16 x 32 weights for itself, which costs less than a second exchange. Sums: each warp
// has 128 of the 512 columns. Queries stay in shared memory: they would fill 144 registers.
//
// Splits are put together as in cuda_decode: the block that arrives last does it, in their order.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_latent_launch.h"

#include "kernels/attention/attention_cuda_tiles.h"

namespace layercost {
namespace {

using namespace attention_tiles;

constexpr int kWarps = 4, kThreads = 32 * kWarps, kStages = 2;
constexpr int kQk = kAttentionLatentQk, kV = kAttentionLatentV, kRows = kAttentionLatentRows;
constexpr int kKeys = kAttentionLatentTileKeys, kPieces = kQk / 8, kSteps = kQk / 16, kColumns = kV / kWarps;

struct Shared {
  Array<Rows<kQk, kKeys>, kStages> keys;
  Rows<kQk, kRows> q;
  Array<Array<Array<float, kKeys + 8>, kRows>, 2> scores;  // of each half of the dims
  alignas(16) int last;
};

// The columns of one warp of a tile's values.
struct Values {
  Rows<kQk, kKeys>& tile;
  int first_piece;
  SIMT_INLINE Vec16* at(int row, int piece) { return tile.at(row, first_piece + piece); }
};

struct Block {
  int unit, split, kv_head;  // kv_head: over the batch
  int first_row, rows;       // of the kv head's rows

  SIMT_INLINE explicit Block(const AttentionCudaLatent& p) {
    unit = static_cast<int>(blockIdx.x) / p.splits;
    split = static_cast<int>(blockIdx.x) % p.splits;
    kv_head = unit / p.row_blocks;
    first_row = unit % p.row_blocks * kRows;
    const int left = p.q_len * (p.heads / p.kv_heads) - first_row;
    rows = left < kRows ? left : kRows;
  }
  SIMT_INLINE int query(const AttentionCudaLatent& p, int row) const {
    return (first_row + row) / (p.heads / p.kv_heads);
  }
  // Number of a row among all queries and heads, [batch, q_len, heads].
  SIMT_INLINE std::int64_t place(const AttentionCudaLatent& p, int row) const {
    const int group = p.heads / p.kv_heads, head = kv_head % p.kv_heads * group + (first_row + row) % group;
    return (static_cast<std::int64_t>(kv_head / p.kv_heads) * p.q_len + query(p, row)) * p.heads + head;
  }
  SIMT_INLINE std::int64_t partial(const AttentionCudaLatent& p, int of_split, int row) const {
    return (static_cast<std::int64_t>(unit) * p.splits + of_split) * kRows + row;
  }
};

// The splits of a unit, in their order: a thread has four columns of every row.
SIMT_INLINE void combine(const AttentionCudaLatent& p, const Block& block) {
  const int column = 4 * static_cast<int>(threadIdx.x);
  for (int row = 0; row < block.rows; ++row) {
    float max = kMinusInfinity, total = 0, sums[4] = {};
    for (int i = 0; i < p.splits; ++i) max = fmaxf(max, p.weights[2 * block.partial(p, i, row)]);
    const float base = exponent_base(max, p.scale);
    for (int i = 0; i < p.splits; ++i) {
      const std::int64_t at = block.partial(p, i, row);
      const auto part = *reinterpret_cast<const Together<float, 4>*>(p.sums + at * kV + column);
      const float factor = exp2_fast(p.weights[2 * at] * p.scale - base);
      total += factor * p.weights[2 * at + 1];
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[j] += factor * part.v[j];
    }
    const float factor = 1.0f / total;
    Together<std::uint32_t, 2> out;
    out.v[0] = pack(sums[0] * factor, sums[1] * factor);
    out.v[1] = pack(sums[2] * factor, sums[3] * factor);
    *reinterpret_cast<Together<std::uint32_t, 2>*>(static_cast<bf16*>(p.y) + block.place(p, row) * kV + column) = out;
  }
}

__global__ void __launch_bounds__(kThreads, 2) latent(AttentionCudaLatent p) {
  grid_launch_dependents();
  Shared& s = shared<Shared>();
  const Block block(p);
  const int thread = static_cast<int>(threadIdx.x);
  const bf16* k = static_cast<const bf16*>(p.k) + static_cast<std::int64_t>(block.kv_head) * p.capacity * kQk;
  const int begin = p.first_key + block.split * p.split_keys;
  const int end = p.kv_len < begin + p.split_keys ? p.kv_len : begin + p.split_keys;
  const int count = (end - begin + kKeys - 1) / kKeys;

  const auto copy = [&](int index) {
    const int first = begin + index * kKeys;
    Rows<kQk, kKeys>& to = s.keys[index % kStages];
#pragma unroll 6
    for (int at = thread; at < kKeys * kPieces; at += kThreads) {
      const int row = at / kPieces, piece = at % kPieces;
      // Behind the last key zeros: what the slot holds, even times zero, must not reach the sums.
      cp_async16(to.at(row, piece), k + static_cast<std::int64_t>(first + row) * kQk + 8 * piece, first + row < end);
    }
    cp_async_commit();
  };
  grid_wait();
  for (int at = thread; at < kRows * kPieces; at += kThreads) {
    const int row = at / kPieces, piece = at % kPieces;
    const bool real = row < block.rows;
    const bf16* from = static_cast<const bf16*>(p.q) + (real ? block.place(p, row) : 0) * kQk + 8 * piece;
    cp_async16(s.q.at(row, piece), from, real);
  }
  copy(0);

  int positions[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = 8 * h + lane() / 4;
    positions[h] = p.kv_len - p.q_len + (row < block.rows ? block.query(p, row) : 0);
  }
  const int half = warp() % 2, first_of_warp = warp() / 2 * 16;
  Softmax softmax;
  float sums[1][kColumns / 8][4] = {};
  for (int index = 0; index < count; ++index) {
    cp_async_wait<0>();
    sync_block();  // the tile is there, and every warp is done with the one before it and with its scores
    if (index + 1 < count) copy(index + 1);
    Rows<kQk, kKeys>& tile = s.keys[index % kStages];
    float part[1][2][4] = {};
#pragma unroll 6
    for (int i = 0; i < kSteps / 2; ++i) {
      const int step = half * (kSteps / 2) + i;
      std::uint32_t q[1][4];
      ldmatrix_x4(q[0], s.q.at(lane() % 16, 2 * step + lane() / 16));
      multiply<1, 16>(tile, first_of_warp, step, q, part);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = 8 * h + lane() / 4, column = first_of_warp + 8 * i + lane() % 4 * 2;
        *reinterpret_cast<Together<float, 2>*>(&s.scores[half][row][column]) = {
            {part[0][i][2 * h], part[0][i][2 * h + 1]}};
      }
    sync_block();
    float scores[1][kKeys / 8][4];
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = 8 * h + lane() / 4, column = 8 * i + lane() % 4 * 2;
        const auto a = *reinterpret_cast<const Together<float, 2>*>(&s.scores[0][row][column]);
        const auto b = *reinterpret_cast<const Together<float, 2>*>(&s.scores[1][row][column]);
        scores[0][i][2 * h] = a.v[0] + b.v[0];
        scores[0][i][2 * h + 1] = a.v[1] + b.v[1];
      }
    const int first = begin + index * kKeys;
    // Only where not every query sees every key.
    if (first + kKeys > p.kv_len - p.q_len + 1 || first < p.kv_len - p.window)
      mask<kKeys>(scores[0], first, positions, p.window);
    soften<kKeys, kColumns>(scores[0], p.scale, softmax, sums[0]);
    Values values{tile, warp() * (kColumns / 8)};
    weigh<1, kKeys, kColumns>(values, 0, scores, sums);
  }

  add_lanes(softmax);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = 8 * h + lane() / 4;
    if (row >= block.rows) continue;
    const int column = warp() * kColumns + lane() % 4 * 2;
    if (p.splits == 1) {
      const float factor = 1.0f / softmax.sum[h];
      auto* y = static_cast<bf16*>(p.y) + block.place(p, row) * kV + column;
#pragma unroll
      for (int i = 0; i < kColumns / 8; ++i)
        *reinterpret_cast<std::uint32_t*>(y + 8 * i) = pack(sums[0][i][2 * h] * factor, sums[0][i][2 * h + 1] * factor);
      continue;
    }
    const std::int64_t at = block.partial(p, block.split, row);
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i)
      *reinterpret_cast<Together<float, 2>*>(p.sums + at * kV + column +
                                             8 * i) = {{sums[0][i][2 * h], sums[0][i][2 * h + 1]}};
    if (warp() == 0 && lane() % 4 == 0)
      *reinterpret_cast<Together<float, 2>*>(p.weights + 2 * at) = {{softmax.max[h], softmax.sum[h]}};
  }
  if (p.splits == 1) return;

  fence();  // this thread's part before the count
  sync_block();
  if (thread == 0) {
    s.last = atomic_add(p.arrived + block.unit, 1) == p.splits - 1;
    fence();  // the count before the other blocks' parts
  }
  sync_block();
  if (s.last == 0) return;
  if (thread == 0) atomic_exchange(p.arrived + block.unit, 0);
  combine(p, block);
}

}  // namespace

int launch_attention_cuda_latent(const AttentionCudaLatent& p, Stream stream) {
  static_assert(sizeof(Shared) == attention_cuda_latent_shared_bytes());
  static_assert(kV == 4 * kThreads, "combine has four columns for each thread");
  const Launch l{dim3(static_cast<unsigned>(p.units * p.splits)), dim3(kThreads), sizeof(Shared), stream, kOverlap};
  return launch("attention_cuda_latent", l, latent, p);
}

}  // namespace layercost

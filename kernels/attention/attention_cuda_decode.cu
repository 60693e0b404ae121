// Few queries, many keys: the time is that of reading the cache once. All heads of a kv head, and all queries, are rows
// of the same products (16 rows to an mma), so that each key and value is read by one block only; the keys are split
// over blocks until the multiprocessors are full.
//
// A block has four warps and takes tiles of 64 keys. Up to 16 rows, each warp takes 16 keys of a tile for all rows; up
// to 32 rows two warps share 32 keys, up to 64 rows four warps share all 64, each warp with 16 rows of its own. The
// warps that share keys (a team) copy them for themselves and wait for nobody else. Three stages of cp.async: two
// tiles, 64 KB at 128 dims, are under way while one is used. Two such blocks fit on a multiprocessor of 9.0 or 10.0
// (228 KB), one on the others.
//
// At the end the warps' sums, each relative to its own maximum, are put together in shared memory. With several splits
// they go to memory, and the block that arrives last puts the splits together in their order: the same bits whichever
// block it is. One kernel instead of two, because the second launch would stand in a chain of short ones; the partial
// sums are still in the L2 cache. The counter of arrivals goes back to zero, so that the launch can be replayed.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_decode_launch.h"

#include "kernels/attention/attention_cuda_tiles.h"

namespace layercost {
namespace {

using namespace attention_tiles;

constexpr int kWarps = 4, kThreads = 32 * kWarps, kStages = 3;

template <int kDim>
struct Stage {
  Rows<kDim, kTileKeys> k, v;
};

// The warps' results. Rows are padded by 8 floats: four rows of 8 floats then lie in all 32 banks.
template <int kDim>
struct Merge {
  Array<Array<Array<float, kDim + 8>, 16>, kWarps> sums;
  Array<Array<float, 16>, kWarps> max, sum;
};

template <int kDim>
struct Shared {
  union {
    Array<Stage<kDim>, kStages> stages;
    Merge<kDim> merge;
  };
  alignas(16) int last;
};

// What a block works on.
template <int kTiles>
struct Block {
  static constexpr int kRows = 16 * kTiles;
  int unit, split, kv_head;  // kv_head: over the batch
  int first_row, rows;       // of the kv head's rows

  SIMT_INLINE explicit Block(const AttentionCudaDecode& p) {
    unit = static_cast<int>(blockIdx.x) / p.splits;
    split = static_cast<int>(blockIdx.x) % p.splits;
    kv_head = unit / p.row_blocks;
    first_row = unit % p.row_blocks * kRows;
    rows = min_of(kRows, p.q_len * (p.heads / p.kv_heads) - first_row);
  }
  SIMT_INLINE static int min_of(int a, int b) { return a < b ? a : b; }
  SIMT_INLINE int query(const AttentionCudaDecode& p, int row) const {
    return (first_row + row) / (p.heads / p.kv_heads);
  }
  // Where a row stands in q and y, [batch, q_len, heads, dim].
  SIMT_INLINE std::int64_t place(const AttentionCudaDecode& p, int row) const {
    const int group = p.heads / p.kv_heads, head = kv_head % p.kv_heads * group + (first_row + row) % group;
    return ((static_cast<std::int64_t>(kv_head / p.kv_heads) * p.q_len + query(p, row)) * p.heads + head) * p.dim;
  }
  // What a row's head has beside its keys; -inf without sinks.
  SIMT_INLINE float sink(const AttentionCudaDecode& p, int row) const {
    const int group = p.heads / p.kv_heads;
    if (p.sinks == nullptr) return kMinusInfinity;
    return p.sinks[kv_head % p.kv_heads * group + (first_row + row) % group] * p.sink_factor;
  }
  // Where a row stands in the partial results of a split.
  SIMT_INLINE std::int64_t partial(const AttentionCudaDecode& p, int of_split, int row) const {
    return (static_cast<std::int64_t>(unit) * p.splits + of_split) * kRows + row;
  }
};

// n sums, divided by their weights' sum, to y.
template <int n>
SIMT_INLINE void store_row(bf16* y, const float (&sums)[n], float total) {
  Together<std::uint32_t, n / 2> out;
  const float factor = 1.0f / total;
#pragma unroll
  for (int i = 0; i < n / 2; ++i) out.v[i] = pack(sums[2 * i] * factor, sums[2 * i + 1] * factor);
  *reinterpret_cast<Together<std::uint32_t, n / 2>*>(y) = out;
}

// The splits of a unit, in their order. One warp per row, each lane its columns; with fewer rows than warps several
// warps share the splits of one row. What has to come from the L2 cache (the sums of the first kAtOnce splits, 256
// bytes a lane, and the weights) is asked for before any of it is used.
template <int kDim, int kTiles>
SIMT_INLINE void combine(const AttentionCudaDecode& p, const Block<kTiles>& block, Merge<kDim>& merge) {
  constexpr int kColumns = kDim / 32, kAtOnce = kDim / 8;
  using Columns = Together<float, kColumns>;
  const int parts = block.rows < kWarps ? kWarps / block.rows : 1, part = warp() % parts;
  for (int row = warp() / parts; row < block.rows; row += kWarps / parts) {
    Columns ahead[kAtOnce];
    const auto load = [&](int first) {
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i)
        if (first + i * parts < p.splits)
          ahead[i] = *reinterpret_cast<const Columns*>(p.sums + block.partial(p, first + i * parts, row) * kDim +
                                                       kColumns * lane());
    };
    load(part);
    const float sink = block.sink(p, row);
    float max = sink;
    for (int i = lane(); i < p.splits; i += 32) max = fmaxf(max, p.weights[2 * block.partial(p, i, row)]);
    max = warp_max(max);
    float total = 0, sums[kColumns] = {};
    if (part == 0 && lane() == 0) total = exp2_fast((sink - max) * p.scale);
    for (int first = part; first < p.splits; first += kAtOnce * parts) {
      float factor = 0;  // of split first + lane * parts
      const int split = first + lane() * parts;
      if (lane() < kAtOnce && split < p.splits) {
        const std::int64_t at = 2 * block.partial(p, split, row);
        factor = exp2_fast((p.weights[at] - max) * p.scale);
        total += factor * p.weights[at + 1];
      }
      if (first != part) load(first);
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const float f = shuffle(factor, i);
        if (first + i * parts >= p.splits) continue;
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sums[j] += f * ahead[i].v[j];
      }
    }
    total = warp_sum(total);
    if (parts > 1) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) merge.sums[warp()][0][kColumns * lane() + j] = sums[j];
      if (lane() == 0) merge.sum[warp()][0] = total;
    } else {
      store_row(static_cast<bf16*>(p.y) + block.place(p, row) + kColumns * lane(), sums, total);
    }
  }
  if (parts == 1) return;
  sync_block();
  const int row = warp() / parts;
  if (part != 0 || row >= block.rows) return;
  float total = 0, sums[kColumns] = {};
  for (int i = warp(); i < warp() + parts; ++i) {
    total += merge.sum[i][0];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) sums[j] += merge.sums[i][0][kColumns * lane() + j];
  }
  store_row(static_cast<bf16*>(p.y) + block.place(p, row) + kColumns * lane(), sums, total);
}

template <int kDim, int kTiles>
__global__ void __launch_bounds__(kThreads, 2) decode(AttentionCudaDecode p) {
  grid_launch_dependents();
  constexpr int kTeamThreads = 32 * kTiles, kTeams = kWarps / kTiles, kKeys = kTileKeys / kTeams;
  Shared<kDim>& s = shared<Shared<kDim>>();
  const Block<kTiles> block(p);
  const int team = warp() / kTiles, tile = warp() % kTiles;

  const std::int64_t slots = static_cast<std::int64_t>(block.kv_head) * p.capacity;
  const bf16* k = static_cast<const bf16*>(p.k) + slots * kDim;
  const bf16* v = static_cast<const bf16*>(p.v) + slots * kDim;
  const int begin = p.first_key + block.split * p.split_keys;
  const int end = block.min_of(p.kv_len, begin + p.split_keys);
  const int count = (end - begin + kTileKeys - 1) / kTileKeys;

  const auto copy = [&](int index) {
    if (index < count) {
      Stage<kDim>& stage = s.stages[index % kStages];
      const int first = begin + index * kTileKeys;
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i) {
        const int at = i * kTeamThreads + static_cast<int>(threadIdx.x) % kTeamThreads;
        const int row = team * kKeys + at / (kDim / 8), piece = at % (kDim / 8);
        // Behind the last key zeros: what the slot holds, even times zero, must not reach the sums.
        const std::int64_t from = static_cast<std::int64_t>(first + row) * kDim + 8 * piece;
        cp_async16(stage.k.at(row, piece), k + from, first + row < end);
        cp_async16(stage.v.at(row, piece), v + from, first + row < end);
      }
    }
    cp_async_commit();
  };
  grid_wait();
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) copy(i);

  std::uint32_t q[kDim / 16][1][4];
  int positions[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = 16 * tile + 8 * h + lane() / 4;
    const bool real = row < block.rows;
    const int query = real ? block.query(p, row) : 0;
    positions[h] = p.kv_len - p.q_len + query;
    const bf16* from = static_cast<const bf16*>(p.q) + (real ? block.place(p, row) : 0) + lane() % 4 * 2;
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step)
#pragma unroll
      for (int j = 0; j < 2; ++j)
        q[step][0][h + 2 * j] = real ? *reinterpret_cast<const std::uint32_t*>(from + 16 * step + 8 * j) : 0u;
  }

  Softmax softmax;
  float sums[1][kDim / 8][4] = {};
  for (int index = 0; index < count; ++index) {
    cp_async_wait<kStages - 2>();
    // The tile is there for the whole team, and the team is done with the one before it, whose stage is next.
    if constexpr (kTiles == 1) sync_warp();
    else sync_part(1 + team, kTeamThreads);
    copy(index + kStages - 1);

    Stage<kDim>& stage = s.stages[index % kStages];
    float scores[1][kKeys / 8][4] = {};
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) multiply<1, kKeys>(stage.k, team * kKeys, step, q[step], scores);
    const int first = begin + index * kTileKeys;
    // Only where not every query sees every key.
    if (first + kTileKeys > p.kv_len - p.q_len + 1 || first < p.kv_len - p.window)
      mask<kKeys>(scores[0], first + team * kKeys, positions, p.window);
    soften<kKeys, kDim>(scores[0], p.scale, softmax, sums[0]);
    weigh<1, kKeys, kDim>(stage.v, team * kKeys, scores, sums);
  }

  add_lanes(softmax);
  sync_block();  // every warp is done with the stages
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = 8 * h + lane() / 4;
    if (lane() % 4 == 0) {
      s.merge.max[warp()][row] = softmax.max[h];
      s.merge.sum[warp()][row] = softmax.sum[h];
    }
    Array<float, kDim + 8>& to = s.merge.sums[warp()][row];
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i)
      *reinterpret_cast<Together<float, 2>*>(&to[8 * i + lane() % 4 * 2]) = {
          {sums[0][i][2 * h], sums[0][i][2 * h + 1]}};
  }
  sync_block();
  for (int i = static_cast<int>(threadIdx.x); i < block.rows * (kDim / 4); i += kThreads) {
    const int row = i / (kDim / 4), column = i % (kDim / 4) * 4, of_tile = row / 16, in_tile = row % 16;
    // Of several splits the last block adds the sink, in combine().
    const float sink = p.splits == 1 ? block.sink(p, row) : kMinusInfinity;
    float max = sink, total = 0, sum[4] = {};
#pragma unroll
    for (int t = 0; t < kTeams; ++t) max = fmaxf(max, s.merge.max[t * kTiles + of_tile][in_tile]);
    const float base = exponent_base(max, p.scale);
    total = exp2_fast(sink * p.scale - base);
#pragma unroll
    for (int t = 0; t < kTeams; ++t) {
      const int w = t * kTiles + of_tile;
      const float factor = exp2_fast(s.merge.max[w][in_tile] * p.scale - base);
      total += factor * s.merge.sum[w][in_tile];
      const auto part = *reinterpret_cast<const Together<float, 4>*>(&s.merge.sums[w][in_tile][column]);
#pragma unroll
      for (int j = 0; j < 4; ++j) sum[j] += factor * part.v[j];
    }
    if (p.splits == 1) {
      store_row(static_cast<bf16*>(p.y) + block.place(p, row) + column, sum, total);
      continue;
    }
    const std::int64_t at = block.partial(p, block.split, row);
    *reinterpret_cast<Together<float, 4>*>(p.sums + at * kDim + column) = {{sum[0], sum[1], sum[2], sum[3]}};
    if (column == 0) *reinterpret_cast<Together<float, 2>*>(p.weights + 2 * at) = {{max, total}};
  }
  if (p.splits == 1) return;

  fence();  // this thread's part before the count
  sync_block();
  if (threadIdx.x == 0) {
    s.last = atomic_add(p.arrived + block.unit, 1) == p.splits - 1;
    fence();  // the count before the other blocks' parts
  }
  sync_block();
  if (s.last == 0) return;
  if (threadIdx.x == 0) atomic_exchange(p.arrived + block.unit, 0);
  combine<kDim, kTiles>(p, block, s.merge);
}

template <int kDim, int kTiles>
int launch_decode(const AttentionCudaDecode& p, Stream stream) {
  static_assert(sizeof(Shared<kDim>) == attention_cuda_decode_shared_bytes(kDim));
  const Launch l{dim3(static_cast<unsigned>(p.units * p.splits)), dim3(kThreads), sizeof(Shared<kDim>), stream,
                 kOverlap};
  return launch("attention_cuda_decode", l, decode<kDim, kTiles>, p);
}

template <int kDim>
int launch_decode(const AttentionCudaDecode& p, Stream stream) {
  if (p.tiles == 1) return launch_decode<kDim, 1>(p, stream);
  return p.tiles == 2 ? launch_decode<kDim, 2>(p, stream) : launch_decode<kDim, 4>(p, stream);
}

}  // namespace

int launch_attention_cuda_decode(const AttentionCudaDecode& p, Stream stream) {
  return p.dim == 64 ? launch_decode<64>(p, stream) : launch_decode<128>(p, stream);
}

}  // namespace layercost

// A stable counting sort of the pairs by expert, and a gather. No atomics: every run gives the same rows.
//
// Few pairs (decode): one launch, `few`. Each block takes up to 256 vectors of one token's row, and counts, with one
// ballot per 32 pairs, how many pairs come before each of its own; further blocks count the offsets. At most 32 ballots
// per pair stand in place of two more launches.
// Many pairs (prefill), three launches:
//   rank    a block per 1024 pairs: each pair's number among the pairs of its expert in the chunk, and how many each
//           expert has there
//   scan    one block, a thread per expert: the row of the first pair of each chunk and expert; the offsets
//   gather  slots = first row + number; each vector of x is read once and written top_k times
// Writing tokens x top_k rows is nearly all of the traffic, so the blocks that copy are many and small.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_permute/moe_permute_cuda_scan_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kChunkWarps = static_cast<int>(kMoePermuteChunk) / 32;
constexpr int kScanThreads = 512;
constexpr int kMostExperts = static_cast<int>(kMoePermuteMostExperts);
constexpr int kSlots = 256;  // slots of a token that fit into shared memory; top_k may be larger

struct TokenSlots {
  Array<std::int32_t, kSlots> slot;
  Array<float, kSlots> weight;
};

SIMT_INLINE std::uint32_t times(Type type, std::uint32_t word, float factor) {
  if (type == Type::f32) return as_bits(as_float(word) * factor);
  const Pair two = unpack(word);
  return pack(two.lo * factor, two.hi * factor);
}
SIMT_INLINE std::uint16_t times(Type, std::uint16_t one, float factor) {
  return static_cast<std::uint16_t>(pack(unpack(one).lo * factor, 0.0f));
}
SIMT_INLINE Vec16 times(Type type, Vec16 v, float factor) {
#pragma unroll
  for (int i = 0; i < 4; ++i) v.word[i] = times(type, v.word[i], factor);
  return v;
}

// One unit of a token's row. It is asked for before the slots are known, so that the two waits overlap.
template <class Unit>
struct Piece {
  std::int64_t per_row, at;
  Unit value;
};

template <class Unit>
SIMT_INLINE Piece<Unit> load_piece(const MoePermuteCudaScan& p, std::int64_t token, unsigned piece) {
  Piece<Unit> out = {p.row_bytes / static_cast<std::int64_t>(sizeof(Unit)),
                     std::int64_t{piece} * kThreads + threadIdx.x, Unit{}};
  if (out.at < out.per_row) out.value = static_cast<const Unit*>(p.x)[token * out.per_row + out.at];
  return out;
}

// To the rows of y that `count` slots name.
template <class Unit>
SIMT_INLINE void store_piece(const MoePermuteCudaScan& p, const Piece<Unit>& piece, TokenSlots& s, int count) {
  if (piece.at >= piece.per_row) return;
#pragma unroll 4
  for (int j = 0; j < count; ++j)
    static_cast<Unit*>(p.y)[s.slot[j] * piece.per_row + piece.at] =
        p.weights != nullptr ? times(p.x_type, piece.value, s.weight[j]) : piece.value;
}

// How many pairs come before pair `pair` of expert `id`: those of a lower expert, and earlier ones of the same. The
// result is in every lane.
SIMT_INLINE std::int32_t pairs_before(const MoePermuteCudaScan& p, std::int32_t id, std::int64_t pair) {
  const std::int64_t pairs = p.tokens * p.top_k;
  std::int32_t before = 0;
#pragma unroll 4
  for (std::int64_t first = 0; first < pairs; first += 32) {
    const std::int64_t other = first + lane();
    const std::int32_t expert = other < pairs ? p.ids[other] : kMostExperts;
    before += count_bits(ballot(expert < id || (expert == id && other < pair)));
  }
  return before;
}

template <class Unit>
__global__ void __launch_bounds__(kThreads) few(MoePermuteCudaScan p, unsigned pieces) {
  grid_launch_dependents();
  grid_wait();
  TokenSlots& s = shared<TokenSlots>();
  const std::int64_t copies = p.tokens * pieces;
  if (blockIdx.x >= copies) {
    const std::int64_t expert = (blockIdx.x - copies) * kWarps + warp();
    if (expert > p.experts) return;  // whole warps, no barrier follows
    const std::int32_t offset = pairs_before(p, static_cast<std::int32_t>(expert), 0);
    if (lane() == 0) p.offsets[expert] = offset;
    return;
  }
  const std::int64_t token = blockIdx.x / pieces;
  const unsigned number = blockIdx.x % pieces;
  const Piece<Unit> piece = load_piece<Unit>(p, token, number);
  for (std::int64_t first = 0; first < p.top_k; first += kSlots) {
    const int count = static_cast<int>(p.top_k - first < kSlots ? p.top_k - first : kSlots);
    sync_block();  // the slots of the round before are read
    for (int j = warp(); j < count; j += kWarps) {
      const std::int64_t pair = token * p.top_k + first + j;
      const std::int32_t slot = pairs_before(p, p.ids[pair], pair);
      if (lane() != 0) continue;
      s.slot[j] = slot;
      if (p.weights != nullptr) s.weight[j] = p.weights[pair];
      if (number == 0) p.slots[pair] = slot;
    }
    sync_block();
    store_piece(p, piece, s, count);
  }
}

struct Ranks {
  Array<Array<std::uint16_t, kMostExperts>, kChunkWarps> before;  // 64 KiB: pairs of an expert in the earlier warps
};

__global__ void __launch_bounds__(kChunkWarps * 32) rank(MoePermuteCudaScan p) {
  grid_launch_dependents();
  grid_wait();
  Ranks& s = shared<Ranks>();
  const int experts = static_cast<int>(p.experts);
  const std::int64_t pair = static_cast<std::int64_t>(blockIdx.x) * kMoePermuteChunk + threadIdx.x;
  const bool valid = pair < p.tokens * p.top_k;
  const int id = valid ? p.ids[pair] : 0;
  for (int e = lane(); e < experts; e += 32) s.before[warp()][e] = 0;
  // The lanes with this lane's expert: those that agree in every bit of it.
  std::uint32_t same = ballot(valid);
  for (int bit = 1; bit < experts; bit *= 2) {
    const std::uint32_t set = ballot((id & bit) != 0);
    same &= (id & bit) != 0 ? set : ~set;
  }
  const std::uint32_t earlier = same & ((1u << lane()) - 1);
  sync_warp();
  if (valid && earlier == 0) s.before[warp()][id] = static_cast<std::uint16_t>(count_bits(same));
  sync_block();
  for (int e = static_cast<int>(threadIdx.x); e < experts; e += kChunkWarps * 32) {
    int sum = 0;
#pragma unroll 8
    for (int w = 0; w < kChunkWarps; ++w) {
      const int here = s.before[w][e];
      s.before[w][e] = static_cast<std::uint16_t>(sum);
      sum += here;
    }
    p.first_rows[blockIdx.x * p.experts + e] = sum;
  }
  sync_block();
  if (valid) p.ranks[pair] = s.before[warp()][id] + count_bits(earlier);
}

struct Scan {
  Array<std::int32_t, kScanThreads / 32> warps;
};

// Sum of v over the threads before this one; `all`: over all threads.
SIMT_INLINE std::int32_t sum_before(Scan& s, std::int32_t v, std::int32_t& all) {
  std::int32_t sum = v;
  for (int distance = 1; distance < 32; distance *= 2) {
    const std::int32_t left = shuffle_up(sum, distance);
    if (lane() >= distance) sum += left;
  }
  sync_block();  // the sums of the round before are read
  if (lane() == 31) s.warps[warp()] = sum;
  sync_block();
  std::int32_t before = 0;
  all = 0;
  for (int w = 0; w < kScanThreads / 32; ++w) {
    if (w == warp()) before = all;
    all += s.warps[w];
  }
  return before + sum - v;
}

__global__ void __launch_bounds__(kScanThreads) scan(MoePermuteCudaScan p, std::int64_t chunks) {
  grid_launch_dependents();
  grid_wait();
  Scan& s = shared<Scan>();
  std::int32_t done = 0;  // pairs of the experts of earlier rounds
  for (std::int64_t first = 0; first < p.experts; first += kScanThreads) {
    const std::int64_t e = first + threadIdx.x;
    const bool valid = e < p.experts;
    std::int32_t mine = 0, all = 0;
#pragma unroll 8
    for (std::int64_t c = 0; c < chunks; ++c) mine += valid ? p.first_rows[c * p.experts + e] : 0;
    std::int32_t row = done + sum_before(s, mine, all);
    done += all;
    if (!valid) continue;
    p.offsets[e] = row;
#pragma unroll 8
    for (std::int64_t c = 0; c < chunks; ++c) {
      const std::int32_t here = p.first_rows[c * p.experts + e];
      p.first_rows[c * p.experts + e] = row;
      row += here;
    }
  }
  if (threadIdx.x == 0) p.offsets[p.experts] = done;
}

template <class Unit>
__global__ void __launch_bounds__(kThreads) gather(MoePermuteCudaScan p, unsigned pieces) {
  grid_launch_dependents();
  grid_wait();
  TokenSlots& s = shared<TokenSlots>();
  const std::int64_t token = blockIdx.x / pieces;
  const unsigned number = blockIdx.x % pieces;
  const Piece<Unit> piece = load_piece<Unit>(p, token, number);
  for (std::int64_t first = 0; first < p.top_k; first += kSlots) {
    const int count = static_cast<int>(p.top_k - first < kSlots ? p.top_k - first : kSlots);
    const int j = static_cast<int>(threadIdx.x);
    sync_block();  // the slots of the round before are read
    if (j < count) {
      const std::int64_t pair = token * p.top_k + first + j;
      s.slot[j] = p.first_rows[pair / kMoePermuteChunk * p.experts + p.ids[pair]] + p.ranks[pair];
      if (p.weights != nullptr) s.weight[j] = p.weights[pair];
      if (number == 0) p.slots[pair] = s.slot[j];
    }
    sync_block();
    store_piece(p, piece, s, count);
  }
}

template <class Unit>
int launch_copies(const MoePermuteCudaScan& p, Stream stream) {
  const auto pieces = static_cast<unsigned>((p.row_bytes / sizeof(Unit) + kThreads - 1) / kThreads);
  Launch l{dim3(static_cast<unsigned>(p.tokens) * pieces), dim3(kThreads), sizeof(TokenSlots), stream, kOverlap};
  if (p.tokens * p.top_k > kMoePermuteFewPairs)
    return launch("moe_permute_cuda_scan gather", l, gather<Unit>, p, pieces);
  l.grid.x += static_cast<unsigned>((p.experts + kWarps) / kWarps);  // experts + 1 offsets
  return launch("moe_permute_cuda_scan few", l, few<Unit>, p, pieces);
}

}  // namespace

int launch_moe_permute_cuda_scan(const MoePermuteCudaScan& p, Stream stream) {
  const std::int64_t pairs = p.tokens * p.top_k, chunks = (pairs + kMoePermuteChunk - 1) / kMoePermuteChunk;
  if (pairs > kMoePermuteFewPairs) {
    const dim3 grid(static_cast<unsigned>(chunks)), block(kChunkWarps * 32);
    if (const int e = launch("moe_permute_cuda_scan rank", {grid, block, sizeof(Ranks), stream, kOverlap}, rank, p))
      return e;
    const Launch one{dim3(1), dim3(kScanThreads), sizeof(Scan), stream, kOverlap};
    if (const int e = launch("moe_permute_cuda_scan scan", one, scan, p, chunks)) return e;
  }
  if (p.row_bytes % 16 == 0) return launch_copies<Vec16>(p, stream);
  if (p.row_bytes % 4 == 0) return launch_copies<std::uint32_t>(p, stream);
  return launch_copies<std::uint16_t>(p, stream);
}

}  // namespace layercost

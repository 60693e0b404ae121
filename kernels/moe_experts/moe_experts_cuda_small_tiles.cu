// The experts of up to a few hundred tokens: still bound by the bandwidth that weights are read with, but with several
// tokens per expert. The weights are the M side of the tensor cores' products and the tokens the N side, so a tile is
// 8, 16 or 32 tokens wide where tokens on the M side would fill 16 or more.
//
// list:    one block sorts the pairs (token, j) by expert and cuts them into tiles of at most kTokens pairs.
// gate_up: block (tile, 32 neurons): rows of x are gathered by index; h = silu(gate) * up in sorted order.
// down:    block (tile, 64 neurons): rows of h are contiguous; results in the order of pairs, f32.
// combine: y[t] = sum_j weights[t, j] * results[t, j] + residual.
// The grid holds the most tiles that there can be; a block behind the last leaves at once, and an expert without tokens
// has no tile. Blocks of one expert's tiles are neighbours in the grid, so its weights come from DRAM once.
//
// A block of 4 warps multiplies 64 weight rows, 16 per warp, in steps of 64 columns through a ring of 4 stages of
// cp.async. A stage holds 8 KB of weights; 3 are in flight, 24 KB per block, and with 41 KB of shared memory for 8
// tokens (55 KB for 32) 5 (4) blocks share a multiprocessor of 227 KB, 2 (1) one of 99 KB. In gate_up the 16 rows of a
// warp are 8 gate rows and the 8 up rows of the same neurons: an mma leaves row r and row r + 8 in one thread, so
// silu(gate) * up needs no exchange.
//
// Each kernel starts while the one before it ends, and waits for it only before it reads what that one wrote; down has
// its first weights under way by then.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts_cuda_small_tiles_launch.h"

#include "kernels/moe_experts/moe_experts_combine.h"
#include "kernels/moe_experts/moe_experts_index.h"
#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128;
constexpr int kWeightRows = 64;
constexpr int kDepth = 64;  // columns per stage
constexpr int kStages = 4;
constexpr int kPitch = kDepth + 8;  // 144 bytes: 8 rows of 16 bytes lie in different banks
constexpr int kVectors = kDepth / 8;
constexpr int kRowsPerPass = kThreads / kVectors;  // that the block copies at once, 128 bytes of each

__global__ void __launch_bounds__(moe_index::kThreads) list(MoeExpertsCudaSmallTiles p) {
  grid_launch_dependents();
  grid_wait();
  auto& s = shared<moe_index::Shared>();
  const int experts = static_cast<int>(p.experts), pairs = static_cast<int>(p.tokens * p.top_k);
  const int expert = static_cast<int>(threadIdx.x);
  moe_index::count(s, p.ids, experts, 0, pairs);
  int mine = 0;
  if (expert < experts)
    for (int w = 0; w < moe_index::kWarps; ++w) mine += s.at[w][expert];
  const int first = moe_index::cut_into_tiles(s, mine, p.tile_rows, p.tiles, p.most_tiles);
  moe_index::counts_to_places(s, experts, first);
  moe_index::place(s, p.ids, 0, pairs, p.order);
}

template <int kTokens>
struct Shared {
  Array<Array<Array<bf16, kPitch>, kWeightRows>, kStages> w;
  Array<Array<Array<bf16, kPitch>, kTokens>, kStages> x;
};

// sums[n] = 16 weight rows of the warp x tokens 8 n .. 8 n + 7 of the tile.
template <int kTokens>
struct Sums {
  float of[kTokens / 8][4] = {};
};

// Where the rows begin that this thread copies 16 bytes of per stage, of an array of `size` rows: in 16-byte units from
// the array's start; negative: no such row, copied as zeros.
template <int kCount>
struct Source {
  int row, vector;
  int offset[kCount];

  template <class RowOf>
  SIMT_INLINE Source(int size, RowOf row_of, int vectors_per_row)
      : row(static_cast<int>(threadIdx.x) / kVectors), vector(static_cast<int>(threadIdx.x) % kVectors) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int at = row + i * kRowsPerPass, from = at < size ? row_of(at) : -1;
      offset[i] = from < 0 ? -1 : from * vectors_per_row;
    }
  }

  template <int kRows>
  SIMT_INLINE void copy(Array<Array<bf16, kPitch>, kRows>& to, const Vec16* from, int step, int vectors) const {
    const int at = step * kVectors + vector;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (row + i * kRowsPerPass >= kRows) continue;
      const bool inside = offset[i] >= 0 && at < vectors;
      cp_async16(&to[row + i * kRowsPerPass][vector * 8], from + (inside ? offset[i] + at : 0), inside);
    }
  }
};

// Products of weight rows w_row(r), r < kWeightRows, with rows x_row(t), t < kTokens, over `depth` columns. A negative
// row counts as zeros. before_x() is called once, before x or x_row is used.
template <int kTokens, class WRow, class XRow, class BeforeX>
SIMT_INLINE void multiply(Shared<kTokens>& s, const void* w, WRow w_row, const void* x, XRow x_row, std::int64_t depth,
                          BeforeX before_x, Sums<kTokens>& sums) {
  const int vectors = static_cast<int>(depth / 8), steps = (vectors + kVectors - 1) / kVectors;
  const auto* w_from = static_cast<const Vec16*>(w);
  const auto* x_from = static_cast<const Vec16*>(x);

  const Source<kWeightRows / kRowsPerPass> w_source(kWeightRows, w_row, vectors);
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step)
    if (step < steps) w_source.copy(s.w[step], w_from, step, vectors);
  before_x();
  const Source<(kTokens + kRowsPerPass - 1) / kRowsPerPass> x_source(kTokens, x_row, vectors);
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) x_source.copy(s.x[step], x_from, step, vectors);
    cp_async_commit();  // an empty group, too, so that the waits can count
  }

  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();
    sync_block();  // also: all are done with the stage that is filled next
    const int stage = step % kStages, ahead = step + kStages - 1;
    if (ahead < steps) {
      w_source.copy(s.w[ahead % kStages], w_from, ahead, vectors);
      x_source.copy(s.x[ahead % kStages], x_from, ahead, vectors);
    }
    cp_async_commit();
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      std::uint32_t a[4];
      ldmatrix_x4(a, &s.w[stage][warp() * 16 + lane() % 16][k + lane() / 16 * 8]);
      if constexpr (kTokens == 8) {
        std::uint32_t b[2];
        ldmatrix_x2(b, &s.x[stage][lane() % 8][k + lane() / 8 % 2 * 8]);
        mma_bf16(sums.of[0], a, b);
      } else {
#pragma unroll
        for (int n = 0; n < kTokens / 8; n += 2) {
          std::uint32_t b[4];
          ldmatrix_x4(b, &s.x[stage][n * 8 + lane() / 16 * 8 + lane() % 8][k + lane() / 8 % 2 * 8]);
          mma_bf16(sums.of[n], a, {b[0], b[1]});
          mma_bf16(sums.of[n + 1], a, {b[2], b[3]});
        }
      }
    }
  }
}

// f(row of the warp's 16: lane / 4 (and + 8), tile row, d of the row, d of the row + 8) for all rows of the tile.
template <int kTokens, class F>
SIMT_INLINE void for_rows(const Sums<kTokens>& sums, int rows, F f) {
#pragma unroll
  for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = n * 8 + lane() % 4 * 2 + i;
      if (row < rows) f(row, sums.of[n][i], sums.of[n][i + 2]);
    }
}

template <int kTokens>
__global__ void __launch_bounds__(kThreads) gate_up(MoeExpertsCudaSmallTiles p) {
  grid_wait();
  grid_launch_dependents();  // not before: down reads the tiles without waiting
  const PairTile tile = p.tiles[blockIdx.x];
  if (tile.rows == 0) return;
  const int neuron = static_cast<int>(blockIdx.y) * (kWeightRows / 2), ffn = static_cast<int>(p.ffn);
  const auto w_row = [&](int row) {
    const int f = neuron + row / 16 * 8 + row % 8;
    return f >= ffn ? -1 : row % 16 < 8 ? f : ffn + f;
  };
  const auto x_row = [&](int row) {
    return row < tile.rows ? p.order[tile.first + row] / static_cast<int>(p.top_k) : -1;
  };
  Sums<kTokens> sums;
  multiply(
      shared<Shared<kTokens>>(), static_cast<const bf16*>(p.w_gate_up) + tile.expert * 2 * p.ffn * p.hidden, w_row, p.x,
      x_row, p.hidden, [] {}, sums);

  const int f = neuron + warp() * 8 + lane() / 4;
  if (f >= ffn) return;
  bf16* h = static_cast<bf16*>(p.h) + tile.first * p.ffn + f;
  for_rows(sums, tile.rows,
           [&](int row, float gate, float up) { store(h + row * p.ffn, divide_fast(gate, 1 + exp_fast(-gate)) * up); });
}

template <int kTokens>
__global__ void __launch_bounds__(kThreads) down(MoeExpertsCudaSmallTiles p) {
  grid_launch_dependents();
  const PairTile* at = p.tiles + blockIdx.x;
  const PairTile tile = {static_cast<int>(load_word_l2(&at->expert)), static_cast<int>(load_word_l2(&at->first)),
                         static_cast<int>(load_word_l2(&at->rows)), 0};
  if (tile.rows == 0) return grid_wait();
  const int neuron = static_cast<int>(blockIdx.y) * kWeightRows, hidden = static_cast<int>(p.hidden);
  const auto w_row = [&](int row) { return neuron + row < hidden ? neuron + row : -1; };
  const auto h_row = [&](int row) { return row < tile.rows ? tile.first + row : -1; };
  Sums<kTokens> sums;
  multiply(
      shared<Shared<kTokens>>(), static_cast<const bf16*>(p.w_down) + tile.expert * p.hidden * p.ffn, w_row, p.h, h_row,
      p.ffn, [] { grid_wait(); }, sums);

  const int n = neuron + warp() * 16 + lane() / 4;
  for_rows(sums, tile.rows, [&](int row, float first, float second) {
    float* to = p.results + p.order[tile.first + row] * p.hidden + n;
    if (n < hidden) to[0] = first;
    if (n + 8 < hidden) to[8] = second;
  });
}

unsigned blocks_of(std::int64_t n, std::int64_t size) { return static_cast<unsigned>((n + size - 1) / size); }

template <int kTokens>
int launch_products(const MoeExpertsCudaSmallTiles& p, Stream stream) {
  const auto tiles = static_cast<unsigned>(p.most_tiles);
  Launch l{dim3(tiles, blocks_of(p.ffn, kWeightRows / 2)), dim3(kThreads), sizeof(Shared<kTokens>), stream, kOverlap};
  const int error = launch("moe_experts_cuda_small_tiles gate_up", l, gate_up<kTokens>, p);
  if (error != 0) return error;
  l.grid = dim3(tiles, blocks_of(p.hidden, kWeightRows));
  return launch("moe_experts_cuda_small_tiles down", l, down<kTokens>, p);
}

}  // namespace

int shared_bytes_moe_experts_cuda_small_tiles(int tile_rows) {
  return tile_rows == 8 ? sizeof(Shared<8>) : tile_rows == 16 ? sizeof(Shared<16>) : sizeof(Shared<32>);
}

int launch_moe_experts_cuda_small_tiles(const MoeExpertsCudaSmallTiles& p, Stream stream) {
  const Launch one{dim3(1), dim3(moe_index::kThreads), sizeof(moe_index::Shared), stream, kOverlap};
  if (const int error = launch("moe_experts_cuda_small_tiles list", one, list, p); error != 0) return error;
  const int error = p.tile_rows == 8    ? launch_products<8>(p, stream)
                    : p.tile_rows == 16 ? launch_products<16>(p, stream)
                                        : launch_products<32>(p, stream);
  if (error != 0) return error;
  return moe_combination::launch_combine<float>("moe_experts_cuda_small_tiles combine",
                                                {p.tokens, p.hidden, p.top_k, p.results, p.weights, p.residual, p.y},
                                                p.y_type, stream);
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/bf16_tiles.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "kernels/core/team.h"
#include "kernels/cpu/amx.h"

namespace layercost {
namespace {

constexpr std::int64_t kColumns = Bf16Tiles::kColumns, kStep = Bf16Tiles::kStep;

// rows [count][k] -> one block, pair by pair. 32 k at a time: the 4 KiB that they fill stay in the first-level cache.
void pack_block(const bf16* rows, std::int64_t count, std::int64_t k, bf16* out) {
  for (std::int64_t k0 = 0; k0 < k; k0 += kStep) {
    bf16* tile = out + k0 * kColumns;
    const std::int64_t width = std::min(kStep, k - k0);
    if (count < kColumns || width < kStep) std::fill_n(tile, kStep * kColumns, bf16{});
    for (std::int64_t c = 0; c < count; ++c) {
      const bf16* row = rows + c * k + k0;
      for (std::int64_t p = 0; p < width / 2; ++p)
        std::memcpy(tile + (p * kColumns + c) * 2, row + 2 * p, 2 * sizeof(bf16));
      if (width % 2 != 0) tile[((width / 2) * kColumns + c) * 2] = row[width - 1];
    }
  }
}

}  // namespace

Bf16Tiles::Bf16Tiles(const Weight& w)
    : count_(w.shape().size() == 3 ? w.dim(0) : 1), n_(w.dim(w.shape().size() - 2)), k_(w.dim(w.shape().size() - 1)) {
  const std::int64_t padded_k = (k_ + kStep - 1) / kStep * kStep;
  block_elements_ = padded_k * kColumns;
  tiles_ = Buffer(static_cast<std::size_t>(count_ * blocks() * block_elements_) * sizeof(bf16), Pages::recycled);
  const bool has_padding = padded_k != k_ || n_ % kColumns != 0;
  each_row_and_column(count_, blocks(), true, [&](std::int64_t i, std::int64_t b) {
    thread_local std::vector<bf16> rows;
    rows.resize(static_cast<std::size_t>(kColumns * k_));
    const std::int64_t first = b * kColumns, here = std::min(kColumns, n_ - first);
    w.read((i * n_ + first) * k_, here * k_, rows.data());
    bf16* to = tiles_.as<bf16>() + (i * blocks() + b) * block_elements_;
    if (has_padding) std::fill_n(to, block_elements_, bf16{});
    pack_block(rows.data(), here, k_, to);
  });
  tiles_.use_huge_pages();
}

std::shared_ptr<const Bf16Tiles> Bf16Tiles::of(const Weight& w) {
  return w.packed<Bf16Tiles>("bf16 tiles 32x64", [&] { return std::make_shared<const Bf16Tiles>(w); });
}

// A block of `steps` tiles is read as two streams: tile i and tile steps / 2 + i in turn; an odd one comes last. Packed
// rows lie in the same order, [steps][rows][32], so that they are one stream too: in place, their lines lie k apart and
// fall on few sets of the first-level cache (8 rows: 88 % of the read loop instead of 94).
void TileProduct::pack(const bf16* x, std::int64_t rows, std::int64_t k, std::int64_t first, std::int64_t end,
                       bf16* packed) const {
  const std::int64_t all = steps(k), half = all / 2, count = passes(rows);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row0 = rows * i / count, here = rows * (i + 1) / count - row0;
    bf16* out = packed + packed_elements(row0, k);
    for (std::int64_t t = first; t < end; ++t) {
      const std::int64_t step = t < 2 * half ? t % 2 * half + t / 2 : t, k0 = step * kStep;
      const std::int64_t width = std::min(kStep, k - k0);
      for (std::int64_t r = 0; r < here; ++r) {
        bf16* to = out + (t * here + r) * kStep;
        std::memcpy(to, x + (row0 + r) * k + k0, static_cast<std::size_t>(width) * sizeof(bf16));
        std::fill(to + width, to + kStep, bf16{});
      }
    }
  }
}

#if defined(__x86_64__)

#define LAYERCOST_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace {

constexpr std::int64_t kTile = kStep * kColumns;  // elements

LAYERCOST_AVX512_BF16 inline __m512bh broadcast_pair(const bf16* x) {
  std::int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

// sum += 2 k of the tile with x of each row, asking for the same two k of `ahead`.
template <int kRows>
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) void multiply_pair(const bf16* x, const bf16* tile,
                                                                               const bf16* ahead,
                                                                               __m512 (&sum)[kRows][4]) {
  __m512bh w[4];
  for (int j = 0; j < 4; ++j) {
    w[j] = reinterpret_cast<__m512bh>(_mm512_load_si512(tile + 32 * j));
    _mm_prefetch(reinterpret_cast<const char*>(ahead + 32 * j), _MM_HINT_T0);
  }
  for (int r = 0; r < kRows; ++r) {
    const __m512bh v = broadcast_pair(x + r * kStep);
    for (int j = 0; j < 4; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], w[j], v);
  }
}

template <int kRows>
LAYERCOST_AVX512_BF16 void avx512_pass(const bf16* x, std::int64_t steps, const bf16* block, const bf16* next,
                                       float (*out)[kColumns]) {
  constexpr std::int64_t kPair = 2 * kColumns, kAhead = 4;  // 1 KB; 0.5 to 1.5 KB are the same
  constexpr std::int64_t kPairs = kStep / 2;
  // One row: sums for each stream, or the chain of additions holds up the reading (34 instead of 36 GB/s).
  constexpr bool kTwoSums = kRows == 1;
  __m512 sum[kRows][4], second[kRows][4];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j) sum[r][j] = second[r][j] = _mm512_setzero_ps();
  const std::int64_t half = steps / 2;
  for (std::int64_t s = 0; s < half; ++s, x += 2 * kRows * kStep) {
    const bf16 *a = block + s * kTile, *b = a + half * kTile;
    const bf16 *a_end = a + kTile, *b_end = b + kTile;  // what follows
    if (s + 1 == half) a_end = next, b_end = next + half * kTile;
    for (std::int64_t p = 0; p < kPairs - kAhead; ++p) {
      multiply_pair<kRows>(x + 2 * p, a + p * kPair, a + (p + kAhead) * kPair, sum);
      multiply_pair<kRows>(x + kRows * kStep + 2 * p, b + p * kPair, b + (p + kAhead) * kPair, kTwoSums ? second : sum);
    }
    for (std::int64_t p = kPairs - kAhead, i = 0; p < kPairs; ++p, ++i) {
      multiply_pair<kRows>(x + 2 * p, a + p * kPair, a_end + i * kPair, sum);
      multiply_pair<kRows>(x + kRows * kStep + 2 * p, b + p * kPair, b_end + i * kPair, kTwoSums ? second : sum);
    }
  }
  if (steps % 2 != 0) {
    const bf16* a = block + (steps - 1) * kTile;
    for (std::int64_t p = 0; p < kPairs; ++p) multiply_pair<kRows>(x + 2 * p, a + p * kPair, next + p * kPair, sum);
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j)
      _mm512_storeu_ps(out[r] + 16 * j, kTwoSums ? _mm512_add_ps(sum[r][j], second[r][j]) : sum[r][j]);
}

constexpr int kWeightStride = 2 * kColumns * sizeof(bf16), kSumStride = kColumns * sizeof(float);
constexpr int kRowStride = kStep * sizeof(bf16);

// Sums in registers 0 to 3 and x in 4 and 5 have as many rows as x has (0, 1 and 4 the first 16 of more); weights, in 6
// and 7, 16 pairs of k.
TileShapes shapes_for(std::int64_t rows) {
  const std::int64_t upper = std::min<std::int64_t>(rows, 16), lower = rows > 16 ? rows - 16 : rows;
  TileShapes shapes;
  for (int i : {0, 1, 4}) shapes.set(i, upper, 64);
  for (int i : {2, 3, 5}) shapes.set(i, lower, 64);
  return shapes;
}

// A quarter of a tile, 16 lines. Asking for all 64 at once fills the 16 fill buffers of the core and stalls the loads.
LAYERCOST_AMX_INLINE inline void fetch_quarter(const bf16* tile, int quarter) {
  for (int line = 16 * quarter; line < 16 * quarter + 16; ++line)
    _mm_prefetch(reinterpret_cast<const char*>(tile + 32 * line), _MM_HINT_T0);
}

LAYERCOST_AMX_INLINE inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// What to ask for beside one tile: four quarters.
struct Ahead {
  const bf16 *a, *b;
  int quarter;
  template <int kTurn>
  LAYERCOST_AMX_INLINE inline void fetch() const {
    fetch_quarter(kTurn % 2 == 0 ? a : b, quarter + kTurn / 2);
  }
};

// f(tile, ahead) for all tiles in the order in which rows are packed. Beside the two tiles of a round the next round's
// are asked for, a quarter of each stream in turn, at the end the beginning of the next block's.
template <class F>
LAYERCOST_AMX_INLINE inline void for_tiles(std::int64_t steps, const bf16* block, const bf16* next, const F& f) {
  const std::int64_t stream = steps / 2 * kTile;
  for (std::int64_t at = 0; at < stream; at += kTile) {
    const bf16* ahead = at + kTile < stream ? block + at + kTile : next;
    f(block + at, Ahead{ahead, ahead + stream, 0});
    f(block + at + stream, Ahead{ahead, ahead + stream, 2});
  }
  if (steps % 2 != 0) f(block + 2 * stream, Ahead{next, next + stream, 0});
}

// Up to 16 rows: four registers of sums, 16 columns each.
LAYERCOST_AMX void amx_pass(const bf16* x, std::int64_t rows, std::int64_t steps, const bf16* block, const bf16* next,
                            float (*out)[kColumns]) {
  const TileScope tiles(shapes_for(rows));
  zero_sums();
  for_tiles(steps, block, next, [&](const bf16* tile, const Ahead& ahead) LAYERCOST_AMX_INLINE {
    _tile_loadd(4, x, kRowStride);
    x += rows * kStep;
    ahead.fetch<0>();
    _tile_loadd(6, tile, kWeightStride);
    _tile_dpbf16ps(0, 4, 6);
    ahead.fetch<1>();
    _tile_loadd(7, tile + 32, kWeightStride);
    _tile_dpbf16ps(1, 4, 7);
    ahead.fetch<2>();
    _tile_loadd(6, tile + 64, kWeightStride);
    _tile_dpbf16ps(2, 4, 6);
    ahead.fetch<3>();
    _tile_loadd(7, tile + 96, kWeightStride);
    _tile_dpbf16ps(3, 4, 7);
  });
  _tile_stored(0, out[0], kSumStride);
  _tile_stored(1, out[0] + 16, kSumStride);
  _tile_stored(2, out[0] + 32, kSumStride);
  _tile_stored(3, out[0] + 48, kSumStride);
}

LAYERCOST_AMX_INLINE inline void load_half(const float* sums) {
  _tile_loadd(0, sums, kSumStride);
  _tile_loadd(1, sums + 16, kSumStride);
  _tile_loadd(2, sums + 16 * kColumns, kSumStride);
  _tile_loadd(3, sums + 16 * kColumns + 16, kSumStride);
}
LAYERCOST_AMX_INLINE inline void store_half(float* sums) {
  _tile_stored(0, sums, kSumStride);
  _tile_stored(1, sums + 16, kSumStride);
  _tile_stored(2, sums + 16 * kColumns, kSumStride);
  _tile_stored(3, sums + 16 * kColumns + 16, kSumStride);
}

// 17 to 32 rows: 2 x 2 registers of sums, for one half of the columns at a time; the other half's wait in `out`. Each
// tile does the half whose sums are in the registers first.
LAYERCOST_AMX void amx_double_pass(const bf16* x, std::int64_t rows, std::int64_t steps, const bf16* block,
                                   const bf16* next, float (*out)[kColumns]) {
  const TileScope tiles(shapes_for(rows));
  zero_sums();
  std::int64_t half = 0;  // columns from 32 * half
  bool fresh = true;
  for_tiles(steps, block, next, [&](const bf16* tile, const Ahead& ahead) LAYERCOST_AMX_INLINE {
    const auto multiply = [&]<int kTurn>() LAYERCOST_AMX_INLINE {
      const bf16* w = tile + 64 * half;
      _tile_loadd(4, x, kRowStride);
      ahead.fetch<kTurn>();
      _tile_loadd(6, w, kWeightStride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, w + 32, kWeightStride);
      _tile_dpbf16ps(1, 4, 7);
      ahead.fetch<kTurn + 1>();
      _tile_loadd(5, x + 16 * kStep, kRowStride);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    };
    multiply.template operator()<0>();
    store_half(out[0] + 32 * half);
    half = 1 - half;
    if (fresh) zero_sums();
    else load_half(out[0] + 32 * half);
    fresh = false;
    multiply.template operator()<2>();
    x += rows * kStep;
  });
  store_half(out[0] + 32 * half);
}

LAYERCOST_AVX512_BF16 inline __m512 load16(const float* p, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, p); }
LAYERCOST_AVX512_BF16 inline __m512 load16(const bf16* p, __mmask16 mask) {
  // Masked forms throughout: GCC 12 warns of an uninitialised operand inside the plain ones (PR 105593).
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(mask, _mm256_maskz_loadu_epi16(mask, p));
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(mask, wide, 16));
}
LAYERCOST_AVX512_BF16 inline void store16(float* p, __mmask16 mask, __m512 v) { _mm512_mask_storeu_ps(p, mask, v); }
LAYERCOST_AVX512_BF16 inline void store16(bf16* p, __mmask16 mask, __m512 v) {
  _mm256_mask_storeu_epi16(p, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
}

template <class Y>
LAYERCOST_AVX512_BF16 void finish(const float* sums, std::int64_t columns, const bf16* bias, const Y* residual, Y* y) {
  for (std::int64_t c = 0; c < columns; c += 16) {
    const auto mask = static_cast<__mmask16>(columns - c >= 16 ? 0xffff : (1 << (columns - c)) - 1);
    __m512 v = _mm512_load_ps(sums + c);
    if (bias != nullptr) v = _mm512_add_ps(v, load16(bias + c, mask));
    if (residual != nullptr) v = _mm512_add_ps(v, load16(residual + c, mask));
    store16(y + c, mask, v);
  }
}

}  // namespace

bool has_tile_product(const DeviceInfo& d) { return d.cpu.avx512_bf16; }

bool has_amx_product(const DeviceInfo& d) { return d.cpu.amx_bf16 && amx_granted(); }

std::int64_t few_rows(const DeviceInfo& d) { return d.cpu.amx_bf16 ? 32 : 6; }

TileProduct::TileProduct(const DeviceInfo& d) : rows_per_pass_(has_amx_product(d) ? kMaxRows : 6) {}

void TileProduct::pass(const bf16* x, std::int64_t rows, std::int64_t steps, const bf16* block, const bf16* next,
                       float (*out)[kColumns]) const {
  if (rows_per_pass_ == kMaxRows && rows > kFewRows)
    return rows <= 16 ? amx_pass(x, rows, steps, block, next, out) : amx_double_pass(x, rows, steps, block, next, out);
  switch (rows) {
    case 1:
      return avx512_pass<1>(x, steps, block, next, out);
    case 2:
      return avx512_pass<2>(x, steps, block, next, out);
    case 3:
      return avx512_pass<3>(x, steps, block, next, out);
    case 4:
      return avx512_pass<4>(x, steps, block, next, out);
    case 5:
      return avx512_pass<5>(x, steps, block, next, out);
    case 6:
      return avx512_pass<6>(x, steps, block, next, out);
    default:
      throw std::logic_error("TileProduct::pass: rows");
  }
}

#else

namespace {
template <class Y>
void finish(const float*, std::int64_t, const bf16*, const Y*, Y*) {}
}  // namespace

bool has_tile_product(const DeviceInfo&) { return false; }

bool has_amx_product(const DeviceInfo&) { return false; }

std::int64_t few_rows(const DeviceInfo&) { return 0; }

TileProduct::TileProduct(const DeviceInfo&) { throw std::logic_error("TileProduct: built for another processor"); }

void TileProduct::pass(const bf16*, std::int64_t, std::int64_t, const bf16*, const bf16*, float (*)[kColumns]) const {}

#endif

template <class Y>
void store_products(const float* sums, std::int64_t b, std::int64_t row, std::int64_t n, const TileOutput<Y>& out) {
  const std::int64_t column = b * kColumns, at = row * (out.stride > 0 ? out.stride : n) + column;
  finish(sums, std::min(kColumns, n - column), out.bias == nullptr ? nullptr : out.bias + column,
         out.residual == nullptr ? nullptr : out.residual + at, out.y + at);
}

template <class Y>
void TileProduct::block(const bf16* packed, std::int64_t rows, const Bf16Tiles& w, std::int64_t index, std::int64_t b,
                        const bf16* next, const TileOutput<Y>& to) const {
  const std::int64_t count = passes(rows);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = rows * i / count, here = rows * (i + 1) / count - first;
    alignas(64) float out[kMaxRows][kColumns];
    pass(packed + packed_elements(first, w.k()), here, steps(w.k()), w.block(index, b),
         i + 1 < count || next == nullptr ? w.block(index, b) : next, out);
    for (std::int64_t r = 0; r < here; ++r) store_products(out[r], b, first + r, w.n(), to);
  }
}

template void store_products(const float*, std::int64_t, std::int64_t, std::int64_t, const TileOutput<float>&);
template void store_products(const float*, std::int64_t, std::int64_t, std::int64_t, const TileOutput<bf16>&);
template void TileProduct::block(const bf16*, std::int64_t, const Bf16Tiles&, std::int64_t, std::int64_t, const bf16*,
                                 const TileOutput<float>&) const;
template void TileProduct::block(const bf16*, std::int64_t, const Bf16Tiles&, std::int64_t, std::int64_t, const bf16*,
                                 const TileOutput<bf16>&) const;

}  // namespace layercost

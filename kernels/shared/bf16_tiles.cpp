// SPDX-License-Identifier: Apache-2.0
#include "kernels/shared/bf16_tiles.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace layercost {
namespace {

constexpr std::int64_t kColumns = Bf16Tiles::kColumns;

// rows [count][k] -> one block, pair by pair. 32 k at a time: the 4 KiB that they fill stay in the first-level cache.
void pack_block(const bf16* rows, std::int64_t count, std::int64_t k, bf16* out) {
  for (std::int64_t k0 = 0; k0 < k; k0 += 32) {
    bf16* tile = out + k0 * kColumns;
    const std::int64_t width = std::min<std::int64_t>(32, k - k0);
    if (count < kColumns || width < 32) std::fill_n(tile, 32 * kColumns, bf16{});
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
  const std::int64_t padded_k = (k_ + 31) / 32 * 32;
  block_elements_ = padded_k * kColumns;
  tiles_ = Buffer(static_cast<std::size_t>(count_ * blocks() * block_elements_) * sizeof(bf16), Pages::recycled);
  const bool has_padding = padded_k != k_ || n_ % kColumns != 0;
#pragma omp parallel
  {
    std::vector<bf16> rows(static_cast<std::size_t>(kColumns * k_));
#pragma omp for collapse(2) schedule(static)
    for (std::int64_t i = 0; i < count_; ++i)
      for (std::int64_t b = 0; b < blocks(); ++b) {
        const std::int64_t first = b * kColumns, here = std::min(kColumns, n_ - first);
        w.read((i * n_ + first) * k_, here * k_, rows.data());
        bf16* to = tiles_.as<bf16>() + (i * blocks() + b) * block_elements_;
        if (has_padding) std::fill_n(to, block_elements_, bf16{});
        pack_block(rows.data(), here, k_, to);
      }
  }
}

std::shared_ptr<const Bf16Tiles> Bf16Tiles::of(const Weight& w) {
  return w.packed<Bf16Tiles>("bf16 tiles 32x64", [&] { return std::make_shared<const Bf16Tiles>(w); });
}

#if defined(__x86_64__)

// By attribute and not by compiler flags: with flags, inline functions of shared headers would be compiled for AVX-512
// too, and the linker may keep that copy for everybody.
#define LAYERCOST_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define LAYERCOST_AMX __attribute__((target("amx-tile,amx-bf16")))

namespace {

// 24 GB/s without prefetch, 29 to 31 with any distance from 768 to 2048 bytes, where a plain read loop does 33.
constexpr int kAheadBytes = 1024, kAmxAheadBytes = 4096;

LAYERCOST_AVX512_BF16 inline __m512bh broadcast_pair(const bf16* x) {
  std::int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

template <int kRows>
LAYERCOST_AVX512_BF16 void avx512_pass(const bf16* x, std::int64_t k, const bf16* block, float (*out)[kColumns]) {
  __m512 sum[kRows][4];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j) sum[r][j] = _mm512_setzero_ps();
  const std::int64_t pairs = k / 2;
#pragma GCC unroll 2  // without it the loop of 4 rows runs at 14 GB/s, of 3 and 5 rows at 27 (GCC 12)
  for (std::int64_t p = 0; p < pairs; ++p) {
    const bf16* at = block + p * 2 * kColumns;
    __m512bh w[4];
    for (int j = 0; j < 4; ++j) {
      w[j] = reinterpret_cast<__m512bh>(_mm512_load_si512(at + 32 * j));
      _mm_prefetch(reinterpret_cast<const char*>(at + 32 * j) + kAheadBytes, _MM_HINT_T0);
    }
    for (int r = 0; r < kRows; ++r) {
      const __m512bh v = broadcast_pair(x + r * k + 2 * p);
      for (int j = 0; j < 4; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], w[j], v);
    }
  }
  if (k % 2 != 0) {
    const bf16* at = block + pairs * 2 * kColumns;
    for (int r = 0; r < kRows; ++r) {
      const auto v =
          reinterpret_cast<__m512bh>(_mm512_set1_epi32(x[r * k + k - 1].bits));  // the pair's second weight is padding
      for (int j = 0; j < 4; ++j)
        sum[r][j] = _mm512_dpbf16_ps(sum[r][j], reinterpret_cast<__m512bh>(_mm512_load_si512(at + 32 * j)), v);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j) _mm512_storeu_ps(out[r] + 16 * j, sum[r][j]);
}

// Linux gives a process the AMX registers when it asks (since 5.16).
bool amx_granted() {
  static const bool granted = [] {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return granted;
}

// Registers 0 to 3: sums of 16 columns each; 4: 32 values of each row of x; 5: weights, 16 pairs x 16 columns.
LAYERCOST_AMX void amx_pass(const bf16* x, std::int64_t rows, std::int64_t k, const bf16* block,
                            float (*out)[kColumns]) {
  struct alignas(64) Config {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 5; ++i) config.rows[i] = static_cast<std::uint8_t>(rows);
  config.rows[5] = 16;
  asm volatile("" : : "m"(config));  // GCC 12 believes that the next line reads eight bytes
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  bf16 tail[TileProduct::kMaxRows][32] = {};
  constexpr int kWeightStride = 2 * kColumns * sizeof(bf16);
  for (std::int64_t k0 = 0; k0 < k; k0 += 32) {
    const bf16* at = block + k0 * kColumns;
    for (int line = 0; line < 64; ++line)
      _mm_prefetch(reinterpret_cast<const char*>(at) + kAmxAheadBytes + 64 * line, _MM_HINT_T0);
    if (k0 + 32 <= k) {
      _tile_loadd(4, x + k0, k * static_cast<std::int64_t>(sizeof(bf16)));
    } else {
      for (std::int64_t r = 0; r < rows; ++r) std::copy(x + r * k + k0, x + (r + 1) * k, tail[r]);
      _tile_loadd(4, tail, sizeof tail[0]);
    }
    _tile_loadd(5, at, kWeightStride);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(5, at + 32, kWeightStride);
    _tile_dpbf16ps(1, 4, 5);
    _tile_loadd(5, at + 64, kWeightStride);
    _tile_dpbf16ps(2, 4, 5);
    _tile_loadd(5, at + 96, kWeightStride);
    _tile_dpbf16ps(3, 4, 5);
  }
  constexpr int kOutStride = kColumns * sizeof(float);
  _tile_stored(0, out[0], kOutStride);
  _tile_stored(1, out[0] + 16, kOutStride);
  _tile_stored(2, out[0] + 32, kOutStride);
  _tile_stored(3, out[0] + 48, kOutStride);
  _tile_release();
}

}  // namespace

bool has_tile_product(const DeviceInfo& d) { return d.cpu.avx512_bf16; }

bool has_amx_product(const DeviceInfo& d) { return d.cpu.amx_bf16 && amx_granted(); }

std::int64_t few_rows(const DeviceInfo& d) { return d.cpu.amx_bf16 ? 32 : 6; }

TileProduct::TileProduct(const DeviceInfo& d) : rows_per_pass_(has_amx_product(d) ? kMaxRows : 6) {}

void TileProduct::pass(const bf16* x, std::int64_t rows, std::int64_t k, const bf16* block,
                       float (*out)[kColumns]) const {
  switch (rows) {
    case 1: return avx512_pass<1>(x, k, block, out);
    case 2: return avx512_pass<2>(x, k, block, out);
    case 3: return avx512_pass<3>(x, k, block, out);
    case 4: return avx512_pass<4>(x, k, block, out);
    case 5: return avx512_pass<5>(x, k, block, out);
    case 6: return avx512_pass<6>(x, k, block, out);
    default: return amx_pass(x, rows, k, block, out);
  }
}

#else

bool has_tile_product(const DeviceInfo&) { return false; }

bool has_amx_product(const DeviceInfo&) { return false; }

std::int64_t few_rows(const DeviceInfo&) { return 0; }

TileProduct::TileProduct(const DeviceInfo&) { throw std::logic_error("TileProduct: built for another processor"); }

void TileProduct::pass(const bf16*, std::int64_t, std::int64_t, const bf16*, float (*)[kColumns]) const {}

#endif

}  // namespace layercost

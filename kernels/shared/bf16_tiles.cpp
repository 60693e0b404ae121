// SPDX-License-Identifier: Apache-2.0
#include "kernels/shared/bf16_tiles.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
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
      for (std::int64_t p = 0; p < width / 2; ++p) std::memcpy(tile + (p * kColumns + c) * 2, row + 2 * p, 2 * sizeof(bf16));
      if (width % 2 != 0) tile[((width / 2) * kColumns + c) * 2] = row[width - 1];
    }
  }
}

}  // namespace

Bf16Tiles::Bf16Tiles(const Weight& w)
    : count_(w.shape().size() == 3 ? w.dim(0) : 1), n_(w.dim(w.shape().size() - 2)), k_(w.dim(w.shape().size() - 1)) {
  const std::int64_t padded_k = (k_ + 31) / 32 * 32;
  block_elements_ = padded_k * kColumns;
  tiles_ = Buffer(static_cast<std::size_t>(count_ * blocks() * block_elements_) * sizeof(bf16));
#pragma omp parallel
  {
    std::vector<bf16> rows(static_cast<std::size_t>(kColumns * k_));
#pragma omp for collapse(2) schedule(static)
    for (std::int64_t i = 0; i < count_; ++i)
      for (std::int64_t b = 0; b < blocks(); ++b) {
        const std::int64_t first = b * kColumns, here = std::min(kColumns, n_ - first);
        w.read((i * n_ + first) * k_, here * k_, rows.data());
        pack_block(rows.data(), here, k_, tiles_.as<bf16>() + (i * blocks() + b) * block_elements_);
      }
  }
}

std::shared_ptr<const Bf16Tiles> Bf16Tiles::of(const Weight& w) {
  return w.packed<Bf16Tiles>("bf16 tiles 32x64", [&] { return std::make_shared<const Bf16Tiles>(w); });
}

#if defined(__x86_64__)

// By attribute and not by compiler flags: with flags, inline functions of shared headers would be compiled for AVX-512 too, and
// the linker may keep that copy for everybody.
#define LAYERCOST_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace {

LAYERCOST_AVX512_BF16 inline __m512bh broadcast_pair(const bf16* x) {
  std::int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

// 24 GB/s without prefetch, 29 to 31 with any distance from 768 to 2048 bytes, where a plain read loop does 33.
constexpr int kAheadBytes = 1024;

template <int kRows>
LAYERCOST_AVX512_BF16 void product(const bf16* const* x, std::int64_t k, const bf16* block, float (*out)[kColumns]) {
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
      const __m512bh v = broadcast_pair(x[r] + 2 * p);
      for (int j = 0; j < 4; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], w[j], v);
    }
  }
  if (k % 2 != 0) {
    const bf16* at = block + pairs * 2 * kColumns;
    for (int r = 0; r < kRows; ++r) {
      const auto v = reinterpret_cast<__m512bh>(_mm512_set1_epi32(x[r][k - 1].bits));  // the pair's second weight is padding
      for (int j = 0; j < 4; ++j)
        sum[r][j] = _mm512_dpbf16_ps(sum[r][j], reinterpret_cast<__m512bh>(_mm512_load_si512(at + 32 * j)), v);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j) _mm512_storeu_ps(out[r] + 16 * j, sum[r][j]);
}

}  // namespace

bool has_tile_product(const DeviceInfo& d) { return d.cpu.avx512_bf16; }

void tiles_times_rows(const bf16* const* x, std::int64_t rows, std::int64_t k, const bf16* block, float (*out)[kColumns]) {
  switch (rows) {
    case 1: return product<1>(x, k, block, out);
    case 2: return product<2>(x, k, block, out);
    case 3: return product<3>(x, k, block, out);
    case 4: return product<4>(x, k, block, out);
    case 5: return product<5>(x, k, block, out);
    case 6: return product<6>(x, k, block, out);
    default: throw std::logic_error("tiles_times_rows: 1 to 6 rows");
  }
}

#else

bool has_tile_product(const DeviceInfo&) { return false; }

void tiles_times_rows(const bf16* const*, std::int64_t, std::int64_t, const bf16*, float (*)[kColumns]) {
  throw std::logic_error("tiles_times_rows: built for another processor");
}

#endif

}  // namespace layercost

// What:    constant bf16 matrices in tiles, packed once and shared by two kinds of products: ours for a few rows
//          (tiles_times_rows, AVX-512-BF16) and oneDNN's matmul for many (onednn.h).
// Layout:  tiles of 32 k x 64 n, those of one block of 64 n one after the other: element (n, k) of a matrix lies at
//          ((n/64 * K/32 + k/32) * 16 + k%32/2) * 128 + n%64 * 2 + k%2, K = k rounded up to 32. oneDNN calls it BA16a64b2a;
//          its brgemm kernels of versions 2.6 and 3 choose it for AVX-512-BF16 and AMX. Padding is zero.
// Why ours: at one row a stream of 64 n is read from start to end. oneDNN 2.6 with AMX reads the same bytes at 22 GB/s and ours
//          at 29 where a plain read loop does 31 (Sapphire Rapids class, 2 cores, 25600 x 5120).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/weight.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

class Bf16Tiles {
 public:
  static constexpr std::int64_t kColumns = 64;  // n per block
  // Of a weight [n, k] or [count, n, k], bf16: packed on all threads, shared through Weight::packed.
  static std::shared_ptr<const Bf16Tiles> of(const Weight&);
  explicit Bf16Tiles(const Weight&);

  std::int64_t count() const { return count_; }
  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  std::int64_t blocks() const { return (n_ + kColumns - 1) / kColumns; }
  const bf16* matrix(std::int64_t index) const { return block(index, 0); }
  const bf16* block(std::int64_t index, std::int64_t b) const {
    return tiles_.as<bf16>() + (index * blocks() + b) * block_elements_;
  }

 private:
  std::int64_t count_, n_, k_, block_elements_;
  Buffer tiles_;
};

// Rows that one call of tiles_times_rows takes: 6 x 4 sums, 4 weights and the broadcast x fill the 32 registers.
inline constexpr std::int64_t kTileRows = 6;
bool has_tile_product(const DeviceInfo&);
// out[r][c] = sum_k x_r[k] * w[64 b + c, k] for 1 <= rows <= kTileRows, x_r = x[r], `block` as given by Bf16Tiles::block. The
// columns beyond n are zero.
void tiles_times_rows(const bf16* const* x, std::int64_t rows, std::int64_t k, const bf16* block, float (*out)[Bf16Tiles::kColumns]);

}  // namespace layercost

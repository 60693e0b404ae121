// What:    constant bf16 matrices in tiles, packed once and shared by two kinds of products: ours for a few rows
//          (tiles_times_rows, AVX-512-BF16) and oneDNN's matmul for many (onednn.h).
// Layout:  tiles of 32 k x 64 n, those of one block of 64 n one after the other: element (n, k) of a matrix lies at
//          ((n/64 * K/32 + k/32) * 16 + k%32/2) * 128 + n%64 * 2 + k%2, K = k rounded up to 32. oneDNN calls it
//          BA16a64b2a; its brgemm kernels of versions 2.6 and 3 choose it for AVX-512-BF16 and AMX. Padding is zero.
// Why ours: a block of 64 n is one stream, which the thread asks for ahead of need. At one row this reads 29 to 31 GB/s
//          where a plain read loop does 33 and oneDNN 2.6 with AMX 22 (Sapphire Rapids class, 2 cores, 25600 x 5120);
//          at 16 rows 80 % of the read loop against 65.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
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

// Our products, for processors with AVX-512-BF16 (6 rows per pass over a block: 6 x 4 sums, 4 weights and the broadcast
// x fill the 32 registers) or AMX (16 rows per pass).
bool has_tile_product(const DeviceInfo&);
// Whether the processor has AMX and the system lets this process use it.
bool has_amx_product(const DeviceInfo&);
// Up to here ours is as fast as oneDNN or faster. More rows take another pass over a block, from the second-level
// cache.
std::int64_t few_rows(const DeviceInfo&);

class TileProduct {
 public:
  static constexpr std::int64_t kMaxRows = 16;
  explicit TileProduct(const DeviceInfo&);
  std::int64_t rows_per_pass() const { return rows_per_pass_; }
  const char* name_for(std::int64_t rows) const {
    return rows_per_pass_ == kMaxRows && rows > 6 ? "AMX" : "AVX-512-BF16";
  }

  // out[r][c] = sum_i x[r, i] * w[64 b + c, i] for 1 <= rows <= rows_per_pass(), x [rows, k], `block` as given by
  // Bf16Tiles::block. Columns beyond n are zero.
  void pass(const bf16* x, std::int64_t rows, std::int64_t k, const bf16* block,
            float (*out)[Bf16Tiles::kColumns]) const;

  // store(r, j, v) for the products v of any number of rows x [rows, k] with the columns j of one block.
  template <class Store>
  void block(const bf16* x, std::int64_t rows, const Bf16Tiles& w, std::int64_t index, std::int64_t b,
             Store&& store) const {
    const std::int64_t passes = (rows + rows_per_pass_ - 1) / rows_per_pass_, column = b * Bf16Tiles::kColumns;
    const std::int64_t columns = std::min(Bf16Tiles::kColumns, w.n() - column);
    for (std::int64_t i = 0; i < passes; ++i) {
      const std::int64_t first = rows * i / passes, here = rows * (i + 1) / passes - first;
      alignas(64) float out[kMaxRows][Bf16Tiles::kColumns];
      pass(x + first * w.k(), here, w.k(), w.block(index, b), out);
      for (std::int64_t r = 0; r < here; ++r)
        for (std::int64_t c = 0; c < columns; ++c) store(first + r, column + c, out[r][c]);
    }
  }

 private:
  std::int64_t rows_per_pass_;
};

}  // namespace layercost

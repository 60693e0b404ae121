// What:    constant bf16 matrices in tiles, packed once and shared by two kinds of products: ours for a few rows
//          (TileProduct, AVX-512-BF16 and AMX) and oneDNN's matmul for many (onednn.h).
// Layout:  tiles of 32 k x 64 n, those of one block of 64 n one after the other: element (n, k) of a matrix lies at
//          ((n/64 * K/32 + k/32) * 16 + k%32/2) * 128 + n%64 * 2 + k%2, K = k rounded up to 32. oneDNN calls it
//          BA16a64b2a; its brgemm kernels of versions 2.6 and 3 choose it for AVX-512-BF16 and AMX. Padding is zero.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/weight.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

class Bf16Tiles {
 public:
  static constexpr std::int64_t kColumns = 64;  // n per block
  static constexpr std::int64_t kStep = 32;     // k per tile
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

bool has_tile_product(const DeviceInfo&);
// Whether the processor has AMX and the system lets this process use it.
bool has_amx_product(const DeviceInfo&);
// Up to here TileProduct is as fast as other products or faster.
std::int64_t few_rows(const DeviceInfo&);

// Where products go: y[r * stride + j] = product + bias[j] + residual[r * stride + j], n columns; bias and residual may
// be null.
template <class Y>
struct TileOutput {
  Y* y;
  const bf16* bias = nullptr;
  const Y* residual = nullptr;
  std::int64_t stride = 0;  // of y and residual; 0: n
};
// One row's products with the columns of block b, 64 sums of which those beyond n are left out.
template <class Y>
void store_products(const float* sums, std::int64_t b, std::int64_t row, std::int64_t n, const TileOutput<Y>& out);

// Products of a few rows with one block of 64 columns, for processors with AVX-512-BF16 (1 to 6 rows at once: 6 x 4
// sums, 4 weights and the broadcast x fill the 32 registers) or AMX (up to 32). More rows take further passes over the
// block, from the second-level cache.
//
// Reading the block is all of the cost, so it is read as two streams, its first and its second half of k in turn, each
// asked for ahead of need, and the next block's beginning at this one's end. Seen on 2 threads of a Xeon with AMX,
// 25600 x 5120, as a share of the read probe beside it: 1 and 2 rows 93 %, 4 and 8 rows 85 %, 16 rows 82 %, 32 rows
// 73 %.
class TileProduct {
 public:
  static constexpr std::int64_t kMaxRows = 32;
  explicit TileProduct(const DeviceInfo&);
  std::int64_t passes(std::int64_t rows) const { return (rows + rows_per_pass_ - 1) / rows_per_pass_; }
  const char* name_for(std::int64_t rows) const {
    return rows_per_pass_ == kMaxRows && rows > kFewRows ? "AMX" : "AVX-512-BF16";
  }

  // Steps of 32 k, and the elements of `rows` packed rows.
  static std::int64_t steps(std::int64_t k) { return (k + Bf16Tiles::kStep - 1) / Bf16Tiles::kStep; }
  static std::int64_t packed_elements(std::int64_t rows, std::int64_t k) { return rows * steps(k) * Bf16Tiles::kStep; }
  // Rows x [rows, k] in the order in which a product reads them; steps first .. end - 1 of it (threads share them out).
  void pack(const bf16* x, std::int64_t rows, std::int64_t k, std::int64_t first, std::int64_t end, bf16* packed) const;
  void pack(const bf16* x, std::int64_t rows, std::int64_t k, bf16* packed) const {
    pack(x, rows, k, 0, steps(k), packed);
  }

  // The products of all packed rows with the columns of block b of matrix `index`. `next` is the block that the thread
  // will read after this one, or null.
  template <class Y>
  void block(const bf16* packed, std::int64_t rows, const Bf16Tiles& w, std::int64_t index, std::int64_t b,
             const bf16* next, const TileOutput<Y>& out) const;

 private:
  // One and two rows are read faster without AMX (36 and 33 GB/s), more with it.
  static constexpr std::int64_t kFewRows = 2;
  // out[r][c] = sum_i x[r, i] * w[64 b + c, i]; columns beyond n are zero.
  void pass(const bf16* packed, std::int64_t rows, std::int64_t steps, const bf16* block, const bf16* next,
            float (*out)[Bf16Tiles::kColumns]) const;
  std::int64_t rows_per_pass_;
};

}  // namespace layercost

// What:    constant f32 matrices in blocks of 64 columns, packed once for our product (simd_product.h); oneDNN packs
//          f32 on its own.
// Layout:  element (n, k) of a matrix lies at (n/64 * K + k) * 64 + n%64, K = k rounded up to 16. Padding is zero.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/weight.h"

namespace layercost {

class F32Tiles {
 public:
  static constexpr std::int64_t kColumns = 64;  // n per block
  // Of a weight [n, k] or [count, n, k], f32: packed on all threads, shared through Weight::packed.
  static std::shared_ptr<const F32Tiles> of(const Weight&);
  explicit F32Tiles(const Weight&);

  std::int64_t count() const { return count_; }
  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  std::int64_t blocks() const { return (n_ + kColumns - 1) / kColumns; }
  const float* matrix(std::int64_t index) const { return block(index, 0); }
  const float* block(std::int64_t index, std::int64_t b) const {
    return tiles_.as<float>() + (index * blocks() + b) * block_elements_;
  }

 private:
  std::int64_t count_, n_, k_, block_elements_;
  Buffer tiles_;
};

}  // namespace layercost

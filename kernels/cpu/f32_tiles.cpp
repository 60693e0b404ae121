// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/team.h"
#include "kernels/cpu/f32_tiles.h"

#include <algorithm>
#include <vector>

namespace layercost {
namespace {

constexpr std::int64_t kColumns = F32Tiles::kColumns;

// rows [count][k] -> one block. 16 k at a time: the 4 KiB that they fill stay in the first-level cache.
void pack_block(const float* rows, std::int64_t count, std::int64_t k, std::int64_t padded_k, float* out) {
  for (std::int64_t k0 = 0; k0 < padded_k; k0 += 16) {
    float* tile = out + k0 * kColumns;
    const std::int64_t width = std::min<std::int64_t>(16, k - k0);
    if (count < kColumns || width < 16) std::fill_n(tile, 16 * kColumns, 0.0f);
    for (std::int64_t c = 0; c < count; ++c)
      for (std::int64_t i = 0; i < width; ++i) tile[i * kColumns + c] = rows[c * k + k0 + i];
  }
}

}  // namespace

F32Tiles::F32Tiles(const Weight& w)
    : count_(w.shape().size() == 3 ? w.dim(0) : 1), n_(w.dim(w.shape().size() - 2)), k_(w.dim(w.shape().size() - 1)) {
  const std::int64_t padded_k = (k_ + 15) / 16 * 16;
  block_elements_ = padded_k * kColumns;
  tiles_ = Buffer(static_cast<std::size_t>(count_ * blocks() * block_elements_) * sizeof(float), Pages::recycled);
  each_row_and_column(count_, blocks(), true, [&](std::int64_t i, std::int64_t b) {
    thread_local std::vector<float> rows;
    rows.resize(static_cast<std::size_t>(kColumns * k_));
    const std::int64_t first = b * kColumns, here = std::min(kColumns, n_ - first);
    w.read((i * n_ + first) * k_, here * k_, rows.data());
    pack_block(rows.data(), here, k_, padded_k, tiles_.as<float>() + (i * blocks() + b) * block_elements_);
  });
  tiles_.use_huge_pages();
}

std::shared_ptr<const F32Tiles> F32Tiles::of(const Weight& w) {
  return w.packed<F32Tiles>("f32 tiles 16x64", [&] { return std::make_shared<const F32Tiles>(w); });
}

}  // namespace layercost

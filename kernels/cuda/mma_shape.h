// What:    the sizes of a tile that kernels/cuda/mma_tile.h multiplies: for the kernel, which is instantiated with
//          them, and for the host, which chooses among them.
// Units:   rows and columns of y, depth of k, in elements; bytes. cost() has no unit: only its order means something.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace layercost {

struct MmaShape {
  int rows, columns, depth;
  int warps_down, warps_across;
  int stages;
  int blocks;  // that share a multiprocessor's 65536 registers: the kernel's launch bounds

  constexpr int threads() const { return 32 * warps_down * warps_across; }
  constexpr int shared_bytes() const { return 2 * depth * (rows + columns) * stages; }

  // The most tiles of rows that any distribution of `all` rows over `experts` experts needs: each expert that can have
  // rows adds up to rows - 1 to what is cut.
  constexpr int row_tiles(std::int64_t all, std::int64_t experts) const {
    const std::int64_t with_rows = all < experts ? all : experts;
    return static_cast<int>((all + with_rows * (rows - 1)) / rows);
  }

  // What to expect of a distribution nobody knows: each expert that can have rows has a tile, and its last one is half
  // full.
  constexpr std::int64_t mean_row_tiles(std::int64_t all, std::int64_t experts) const {
    const std::int64_t with_rows = all < experts ? all : experts, tiles = all / rows + with_rows / 2;
    return tiles < with_rows ? with_rows : tiles;
  }
  constexpr std::int64_t column_tiles(std::int64_t n) const { return (n + columns - 1) / columns; }

  // Of `tiles` tiles, for one step of k: as many as one multiprocessor gets, each as long as its products and its
  // copies and fragment loads. A row or column of a tile costs about as much through shared memory as 32 products.
  constexpr double cost(std::int64_t tiles, int multiprocessors, std::int64_t shared_bytes_per_multiprocessor) const {
    constexpr int kReserved = 1024;  // of shared memory, by the system, for each block
    const std::int64_t fit = shared_bytes_per_multiprocessor / (shared_bytes() + kReserved);
    const std::int64_t together = fit < 1 ? 1 : fit < blocks ? fit : blocks;
    const std::int64_t at_once = together * multiprocessors;
    const std::int64_t last = tiles % at_once;  // a last wave of few tiles is a short one
    const std::int64_t held = tiles / at_once * together + (last + multiprocessors - 1) / multiprocessors;
    return static_cast<double>(held) * (1.0 * rows * columns + 32.0 * (rows + columns));
  }
};

// For tests: a device with many multiprocessors would choose the smallest shape for every case of a test.
struct TileShapes {
  int forced = -1;  // while >= 0: the index that every choice takes, where it fits
  int count = 0;    // how many there were to choose from, of the last choice
};
inline TileShapes& tile_shapes() {
  static TileShapes t;
  return t;
}

// Index of the shape that fits into a block's shared memory and costs least, the first of equals; -1 if none fits.
template <int kCount, class Cost>
int cheapest_shape(const MmaShape (&shapes)[kCount], std::size_t shared_bytes_per_block, Cost cost_of) {
  const auto fits = [&](int i) { return static_cast<std::size_t>(shapes[i].shared_bytes()) <= shared_bytes_per_block; };
  tile_shapes().count = kCount;
  if (const int forced = tile_shapes().forced; forced >= 0 && forced < kCount && fits(forced)) return forced;
  int best = -1;
  double least = 0;
  for (int i = 0; i < kCount; ++i) {
    if (!fits(i)) continue;
    const double cost = cost_of(shapes[i]);
    if (best >= 0 && cost >= least) continue;
    best = i;
    least = cost;
  }
  return best;
}

}  // namespace layercost

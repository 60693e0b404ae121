// What:    which rows tile number `slot` has, where each expert's rows are cut into tiles of kRows and these are
//          numbered through: expert 0's tiles, expert 1's tiles ... The counts are known on the device only, so the
//          grid is as large as it can get (MmaShape::row_tiles), and a block without a tile leaves.
// Does:    lane l adds up the tiles of the experts that are its share, a prefix sum over the warp finds the lane whose
//          share holds the slot, that lane walks its experts. 128 experts: 4 each, read at once.
// Use:     called by all lanes of a warp; every warp of a block computes the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/simt.h"

namespace layercost {
namespace simt {

struct ExpertTile {
  int expert;    // -1: the slot has no tile
  int row, end;  // the expert's rows from there on, row < end: the tile's are the first kRows of them
};

template <int kRows>
SIMT_INLINE ExpertTile find_expert_tile(const std::int32_t* offsets, int experts, int slot) {
  const int share = (experts + 31) / 32;
  const int first = lane() * share < experts ? lane() * share : experts;
  const int last = first + share < experts ? first + share : experts;
  const auto tiles_of = [&](int e) { return (offsets[e + 1] - offsets[e] + kRows - 1) / kRows; };
  int tiles = 0;
#pragma unroll 4
  for (int e = first; e < last; ++e) tiles += tiles_of(e);
  int through = tiles;  // of all lanes up to this one
#pragma unroll
  for (int delta = 1; delta < 32; delta *= 2) {
    const int before = shuffle_up(through, delta);
    if (lane() >= delta) through += before;
  }
  const std::uint32_t beyond = ballot(slot < through);
  if (beyond == 0) return {-1, 0, 0};
  const int owner = 32 - count_bits(beyond);  // the first lane of those, as `through` never falls
  int expert = first, row = 0, end = 0;
  if (lane() == owner) {
    int at = slot - (through - tiles);
    for (int n = tiles_of(expert); at >= n; n = tiles_of(expert)) {
      at -= n;
      ++expert;
    }
    row = offsets[expert] + at * kRows;
    end = offsets[expert + 1];
  }
  return {shuffle(expert, owner), shuffle(row, owner), shuffle(end, owner)};
}

}  // namespace simt
}  // namespace layercost

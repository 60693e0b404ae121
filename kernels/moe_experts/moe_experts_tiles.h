// What:    the unit of work of the tiled variants: some of the pairs (token, j) that chose one expert.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace layercost {

inline constexpr int kIndexMostExperts = 512;
inline constexpr int kSortPairs = 1024;  // that a block of the sort takes (moe_experts_sort.h)

struct alignas(16) PairTile {
  std::int32_t expert, first, rows;  // sorted places first .. first + rows - 1; rows = 0: nothing to do
  std::int32_t unused;
};

// Whatever the routing: of the experts with pairs each ends with at most one tile that is not full.
inline std::int64_t most_pair_tiles(std::int64_t pairs, std::int64_t experts, std::int64_t tile_rows) {
  return std::min(pairs, experts) + pairs / tile_rows;
}

}  // namespace layercost

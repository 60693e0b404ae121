// What:    how the conformance tests fill expert ids: top_k different experts per token.
// Formula: the first top_k steps of a Fisher-Yates shuffle of 0 .. experts - 1, one shuffle per token; every third seed
//          gives all tokens the set of the first one, so that a few experts get everything and the others nothing.
// Shapes:  ids [tokens, top_k], i32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <numeric>
#include <vector>

#include "kernels/core/random.h"

namespace layercost {

inline auto fill_expert_ids(std::int64_t experts) {
  return [experts](const Tensor& ids, std::uint64_t seed) {
    const std::int64_t tokens = ids.dim(0), top_k = ids.dim(1);
    std::vector<std::int32_t> all(static_cast<std::size_t>(experts));
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::iota(all.begin(), all.end(), 0);
      const std::int64_t draw = seed % 3 == 0 ? 0 : t;
      for (std::int64_t j = 0; j < top_k; ++j) {
        const auto left = static_cast<std::uint64_t>(experts - j);
        const auto pick =
            static_cast<std::int64_t>(uniform_below(hash64(seed, static_cast<std::uint64_t>(draw * top_k + j)), left));
        std::swap(all[static_cast<std::size_t>(j)], all[static_cast<std::size_t>(j + pick)]);
        ids.as<std::int32_t>()[t * top_k + j] = all[static_cast<std::size_t>(j)];
      }
    }
  };
}

}  // namespace layercost

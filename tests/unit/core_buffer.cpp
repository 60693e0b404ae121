// Blocks that are kept for reuse never stand in the way of others: what a machine has is one number.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/core/tensor.h"

namespace layercost {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A block that comes back has what was written to it; one from the system is zero.
bool is_kept_over(std::size_t fresh_bytes) {
  {
    const Buffer first(16 * kMiB, Pages::recycled);
    std::memset(first.data(), 0x5a, 16 * kMiB);
  }
  { const Buffer fresh(fresh_bytes); }
  const Buffer second(16 * kMiB, Pages::recycled);
  return second.data()[8 * kMiB] == std::byte{0x5a};
}

TEST(Buffer, KeptBlocksGoWhenFreshPagesNeedTheRoom) {
  const Buffer before(100 * kMiB);  // was there, and does not count
  set_recycling_limit(64 * kMiB);
  EXPECT_TRUE(is_kept_over(0));
  EXPECT_TRUE(is_kept_over(40 * kMiB));
  set_recycling_limit(0);
  set_recycling_limit(64 * kMiB);
  EXPECT_FALSE(is_kept_over(56 * kMiB));
  set_recycling_limit(0);
  EXPECT_FALSE(is_kept_over(0));
}

}  // namespace
}  // namespace layercost

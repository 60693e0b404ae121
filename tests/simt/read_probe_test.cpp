// The probe behind a GPU's bandwidth roof reads every byte once: its sum says so.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "kernels/runtime/read_probe_cuda_launch.h"
#include "kernels/simt/types.h"

namespace layercost {
namespace simt {
void set_order(unsigned order);
}
namespace {

#if defined(LAYERCOST_SIMT_RACES)
constexpr unsigned kOrders[] = {0, 2};
constexpr int kRounds = 1;
#else
constexpr unsigned kOrders[] = {0, 1, 2};
constexpr int kRounds = 7;
#endif

TEST(ReadProbeCuda, AddsUpEveryWordOnce) {
  constexpr int kStep = 16 * 512 * 8;  // what one block has in flight
  for (int blocks : {1, 3})
    for (int bytes : {0, 16, 16 * 511, kStep - 16, kStep + 16, kRounds * kStep, kRounds * kStep + 16 * 700}) {
      std::vector<simt::Vec16> data(static_cast<std::size_t>(bytes) / 16);
      std::mt19937 random(static_cast<unsigned>(bytes));
      std::uint32_t expected = 0;
      for (simt::Vec16& v : data)
        for (std::uint32_t& w : v.word) expected += w = static_cast<std::uint32_t>(random());
      for (unsigned order : kOrders) {
        simt::set_order(order);
        std::vector<std::uint32_t> sums(static_cast<std::size_t>(blocks), 0xffffffffu);
        ASSERT_EQ(launch_read_probe_cuda({data.data(), bytes, sums.data(), blocks}, nullptr), 0);
        std::uint32_t sum = 0;
        for (std::uint32_t s : sums) sum += s;
        EXPECT_EQ(sum, expected) << blocks << " blocks, " << bytes << " bytes";
      }
    }
  simt::set_order(0);
}

}  // namespace
}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/runtime/read_probe.h"

#include <atomic>

#include "kernels/core/team.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/runtime/read_probe.cpp"
#include <hwy/foreach_target.h>
// After foreach_target, as Highway asks.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Two streams, the first and the second half in turn, two lines each, asked for 1 KB ahead: one core here reads 4 to 7
// % more than as one stream asked for 2 KB ahead, and a tenth more than with the hardware's own prefetcher alone.
std::uint64_t xor_words(const std::uint64_t* HWY_RESTRICT p, std::size_t words) {
  const hn::ScalableTag<std::uint64_t> d;
  const std::size_t lanes = hn::Lanes(d), half = words / 2;
  constexpr std::size_t kLine = 8, kStep = 2 * kLine, kAhead = 128;
  auto a = hn::Zero(d), b = a;
  for (std::size_t i = 0; i + kStep <= half; i += kStep)
    for (std::size_t stream = 0; stream < 2; ++stream) {
      const std::uint64_t* from = p + stream * half + i;
      hwy::Prefetch(from + kAhead);
      hwy::Prefetch(from + kAhead + kLine);
      for (std::size_t l = 0; l < kStep; l += 2 * lanes) {
        a = hn::Xor(a, hn::LoadU(d, from + l));
        b = hn::Xor(b, hn::LoadU(d, from + l + lanes));
      }
    }
  HWY_ALIGN std::uint64_t lane[hn::MaxLanes(d)];
  hn::Store(hn::Xor(a, b), d, lane);
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < lanes; ++i) all ^= lane[i];
  return all;
}

}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
HWY_EXPORT(xor_words);

std::uint64_t read_once(const std::byte* data, std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  const auto pages = static_cast<std::int64_t>(bytes / kPage);
  constexpr std::int64_t kBlock = 64;  // 256 KiB per call: the call costs nothing, and threads stay balanced
  std::atomic<std::uint64_t> sum = 0;
  each_piece(pages / kBlock, [&](int, std::int64_t b, std::int64_t) {
    sum ^= HWY_DYNAMIC_DISPATCH(xor_words)(reinterpret_cast<const std::uint64_t*>(data + b * kBlock * kPage),
                                           kBlock * kPage / 8);
  });
  return sum;
}

}  // namespace layercost
#endif

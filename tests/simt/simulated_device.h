// What:    what tests can plant into the executor's device "cuda:0" (executor_backend.cpp).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kernels/runtime/device_backend.h"

namespace layercost {

struct SimulatedDevice {
  std::uint64_t memory_bytes = std::uint64_t{4} << 30;
  std::uint64_t cache_bytes = std::uint64_t{1} << 20;
  // The answer to every timed section. None, and no launch_s: timing is an error, because nothing is timed on the
  // executor.
  std::function<SectionTime()> clock;
  // How long each launch takes, by the words it is checked with ("linear cuda_gemv"): a section takes their sum. It may
  // throw, as a launch does that the device refuses.
  std::function<double(const std::string& what)> launch_s;
  double wall_s = 0;             // planted too: moves on by every section or launch
  std::int64_t launches = 0;     // so far
  std::int64_t lost_after = -1;  // this many launches; negative: never
};
SimulatedDevice& simulated_device();

}  // namespace layercost

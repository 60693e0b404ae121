// What:    what a model would need and could reach at best on a device that is not here, from the vendor's figures.
// Rules:   a projection, never a measurement: it is printed under that word, with the figures' sources. Several devices
//          are taken as one with their sums: weights and cache split evenly, communication left out, so that nothing
//          real can be faster.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/plan/counts.h"
#include "harness/spec/hardware_spec.h"

namespace layercost {

struct Projection {
  std::string hardware, arithmetic;
  std::int64_t devices = 1;
  double memory_bytes = 0, read_bytes_per_s = 0;
  std::optional<double> flops_per_s;            // absent: the vendor gives no rate for this arithmetic
  MemoryNeed need;                              // largest_batch at this context
  std::optional<std::int64_t> largest_context;  // at this batch; absent: not even one token fits
  std::optional<double> possible_s;             // of one step of the whole model
  std::vector<std::string> sources;             // of the figures used; one each
};
Projection project(const ModelSpec&, const Scenario&, const HardwareSpec&, std::int64_t devices);

}  // namespace layercost

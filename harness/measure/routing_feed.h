// What:    feeds a stack of layers with experts: draws ids for every pass where the routing is forced, and counts what
//          was chosen, whoever chose it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/measure/stack.h"
#include "harness/result/record.h"

namespace layercost {

class RoutingFeed {
 public:
  // `draws` counts on over all feeds of a run: no draw is used twice.
  RoutingFeed(const RoutingSpec&, std::uint64_t seed, Stack&, Runtime&, std::uint64_t& draws);

  bool forced() const { return generator_.has_value(); }
  // Forced: fresh ids for this many passes; the stack has those of the first. Else nothing.
  void draw(std::size_t passes);
  // Ids of all passes of the last draw; null where nothing is forced.
  const OwnedTensor* drawn() const { return forced() ? &drawn_ : nullptr; }
  // Not forced: counts what the layer chose.
  void count(Layer&);
  // Mean per layer: of the last draw, or of all that was counted.
  double distinct() const { return forced() ? distinct_ : tally_.mean_distinct(); }
  // What was routed so far, added to an earlier round's.
  RoutingRecord record(const std::optional<RoutingRecord>& earlier) const;

 private:
  RoutingSpec spec_;
  std::uint64_t seed_;
  Stack& stack_;
  Runtime& runtime_;
  std::uint64_t& draws_;
  ExpertChoice choice_;
  std::int64_t tokens_;
  std::optional<RoutingGenerator> generator_;
  RoutingTally tally_;
  std::vector<std::int32_t> ids_;  // [pass][layer][tokens * top_k]
  OwnedTensor drawn_{DType::i32, {0}};
  double distinct_ = 0;
};

}  // namespace layercost

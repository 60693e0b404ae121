// What:    R layers of one kind with weights and caches of their own, run one after the other, the output of one
//          feeding the next: what is measured. A head ends in logits: every copy of it reads the same input.
// Rules:   set_ids() before any run of a plan with forced expert ids; capture() before run().
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "harness/measure/layer.h"

namespace layercost {

class Stack {
 public:
  // weights: at least one set for each layer. variants: as of Layer. chain: of that many layers one reads the output of
  // the one before it, the next one the stack's input again: what the same weights add time after time would soon be
  // smaller than the stream's rounding.
  Stack(const LayerPlan&, const std::vector<WeightSet>& weights, std::int64_t layers, std::uint64_t seed, Runtime&,
        const std::vector<const Variant*>& variants = {}, std::int64_t chain = kWhole);
  static constexpr std::int64_t kWhole = std::numeric_limits<std::int64_t>::max();

  std::size_t size() const { return layers_.size(); }
  Layer& layer(std::size_t l) { return *layers_[l]; }
  Layer& last() { return *layers_.back(); }
  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  const LayerPlan& plan() const { return plan_; }
  bool forced() const { return id_count_ > 0; }

  // The expert ids of all layers for one pass; `drawn` [passes, layers, ids of a layer] is in the device's memory.
  void set_ids(const Tensor& drawn, std::size_t pass);
  // From now on run() is `passes` passes in one graph (on a CPU: the same calls); the expert ids of all but the first
  // come from `drawn`, which has to stay where it is. Between graphs there is a gap, which is not the layers'.
  void capture(std::size_t passes = 1, const OwnedTensor* drawn = nullptr);
  void run() { graph_->launch(); }

 private:
  Runtime& runtime_;
  LayerPlan plan_;
  OwnedTensor ids_;  // of all layers, one after the other, so that one copy sets them
  std::int64_t id_count_ = 0;
  std::unique_ptr<Graph> graph_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace layercost

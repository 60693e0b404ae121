// What:    a point of a run (which step of a model, in which types, how routed), and the sizes that follow from it.
// Units:   elements.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "harness/plan/routing.h"
#include "kernels/core/weight_format.h"

namespace layercost {

// How the weights of a model are stored. A format with scales is for matrices; what it leaves alone (norms, biases, the
// router's matrix, which chooses, embedding and LM head) has a type of its own. By a config of a quantised model each
// matrix has the format that its config gives it, and the others that of the vectors; `matrices` is the one of most.
struct WeightTypes {
  const WeightFormat* matrices = &weight_format(DType::bf16);
  DType vectors = DType::bf16, router = DType::bf16, head = DType::bf16;
  bool by_config = false;
  // `rest`: of what the format leaves alone, where it has scales.
  static WeightTypes of(const WeightFormat& f, DType rest) {
    const DType t = f.is_plain() ? f.values : rest;
    return {&f, t, t, t};
  }
  static WeightTypes of_config(const WeightFormat& most, DType rest) { return {&most, rest, rest, rest, true}; }
  // As results and tables say it.
  std::string name() const { return (by_config ? "config:" : "") + std::string(matrices->name); }
  bool operator==(const WeightTypes&) const = default;
};

enum class Phase { prefill, decode };
std::string to_string(Phase);

struct Scenario {
  Phase phase = Phase::decode;
  std::int64_t batch = 1;
  std::int64_t context = 1024;  // decode: keys cached before the step; prefill: prompt length
  WeightTypes weights;
  DType activation_type = DType::bf16, kv_type = DType::bf16;
  RoutingSpec routing;
};

// The sizes of one step. Decode: q_len 1. Prefill: q_len = kv_len.
struct StepShape {
  std::int64_t batch = 1, q_len = 1;
  std::int64_t kv_len = 1;    // keys each sequence attends to, those of this step included
  std::int64_t capacity = 1;  // slots of the cache
  WeightTypes weights;
  DType activation_type = DType::bf16, kv_type = DType::bf16;
  bool forced_routing = false;
  std::int64_t tokens() const { return batch * q_len; }
};
StepShape step_shape(const Scenario&, bool has_experts);

}  // namespace layercost

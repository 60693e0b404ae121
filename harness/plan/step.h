// What:    a point of a run (which step of a model, in which types, how routed), and the sizes that follow from it.
// Units:   elements.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "harness/plan/routing.h"
#include "kernels/core/dtype.h"

namespace layercost {

enum class Phase { prefill, decode };
std::string to_string(Phase);

struct Scenario {
  Phase phase = Phase::decode;
  std::int64_t batch = 1;
  std::int64_t context = 1024;  // decode: keys cached before the step; prefill: prompt length
  DType weight_type = DType::bf16, activation_type = DType::bf16, kv_type = DType::bf16;
  RoutingSpec routing;
};

// The sizes of one step. Decode: q_len 1. Prefill: q_len = kv_len.
struct StepShape {
  std::int64_t batch = 1, q_len = 1;
  std::int64_t kv_len = 1;    // keys each sequence attends to, those of this step included
  std::int64_t capacity = 1;  // slots of the cache
  DType weight_type = DType::bf16, activation_type = DType::bf16, kv_type = DType::bf16;
  bool forced_routing = false;
  std::int64_t tokens() const { return batch * q_len; }
};
StepShape step_shape(const Scenario&, bool has_experts);

}  // namespace layercost

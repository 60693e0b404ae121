// What:    the compulsory work of one step of a whole model, part by part, before anything has run: what a projection
//          starts from (cost/projection.h). Made from plans by measure/op_records.h.
// Units:   flops, bytes; tokens.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

struct StepPart {
  std::string kind;         // as PartRecord's
  std::int64_t count = 0;   // how often a step has it, at least 1
  std::vector<OpRecord> ops;
  double distinct_experts = 0;  // expected of the scenario's routing
  double least_experts = 0;     // of any routing: all tokens to the same ones
};

// Of a model that devices share (@ep, @tp): what one of them does, and how many there are.
struct StepWork {
  std::string phase;            // "prefill" or "decode"
  std::string activation_type;  // the arithmetic of whatever names no other
  std::vector<StepPart> parts;
  double tokens = 0;            // that a step of all devices yields: in decode new ones, in prefill the prompts'
  std::int64_t devices = 1;
};

}  // namespace layercost

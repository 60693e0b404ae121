// What:    the steps of a model that a published result took (spec/published_spec.h), as scenarios to be planned.
// Formula: a request of P tokens and G new ones is one step of prefill, which yields the first, and G - 1 of decode
//          with P, P + 1, ... tokens cached, taken as G - 1 with the mean of them: a bound that is convex in the length
//          is not raised by that.
// Types:   activations and cache in bf16.
// Errors:  BadInput for a model or a format that is not known.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "harness/plan/model.h"
#include "harness/spec/published_spec.h"

namespace layercost {

struct PublishedSteps {
  ModelSpec model;
  struct Step {
    Scenario scenario;
    double times = 1;
  };
  std::vector<Step> steps;
  double tokens_of_sequence = 1;  // that are counted
};
PublishedSteps published_steps(const PublishedResult& result, const std::filesystem::path& configs_dir);

}  // namespace layercost

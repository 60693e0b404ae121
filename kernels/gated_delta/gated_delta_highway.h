// What:    what the Highway variants share: the tensors of a case, and a token's decay and beta.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/gated_delta/gated_delta.h"

namespace layercost {

struct GatedDelta {
  GatedDeltaAxes a;
  const void* qkv;
  const float *ba, *a_log, *dt_bias, *state;  // state: null without
  void* y;
  float* next;

  float log_decay(std::int64_t token, std::int64_t h) const {
    const float in = ba[token * 2 * a.heads + a.a_at(h)] + dt_bias[h];
    return -std::exp(a_log[h]) * (in > 30 ? in : std::log1p(std::exp(in)));
  }
  float beta(std::int64_t token, std::int64_t h) const {
    return 1.0f / (1.0f + std::exp(-ba[token * 2 * a.heads + a.b_at(h)]));
  }
};
// Tokens of sequence b through value head h.
using GatedDeltaFunction = void (*)(const GatedDelta&, std::int64_t b, std::int64_t h, float* scratch);

// Heads of all sequences on threads, each with scratch of its own.
std::unique_ptr<Invocation> gated_delta_by_heads(const OpCase&, const OpTensors&, std::int64_t scratch_floats,
                                                 GatedDeltaFunction);

}  // namespace layercost

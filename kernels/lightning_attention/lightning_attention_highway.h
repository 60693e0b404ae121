// What:    what the Highway variants share: the tensors of a case, and heads on threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/dispatch.h"
#include "kernels/lightning_attention/lightning_attention.h"

namespace layercost {

struct LightningAttention {
  LightningAttentionAxes a;
  const void* qkv;
  const float *slopes, *state;  // state: null without
  void* y;
  float* next;
};
// Tokens of sequence b through head h.
using LightningAttentionFunction = void (*)(const LightningAttention&, std::int64_t b, std::int64_t h, float* scratch);

// Heads of all sequences on threads, each with scratch of its own.
std::unique_ptr<Invocation> lightning_attention_by_heads(const OpCase&, const OpTensors&, std::int64_t scratch_floats,
                                                         LightningAttentionFunction);

}  // namespace layercost

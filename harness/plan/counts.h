// What:    what a whole model amounts to, as walks over the plans of its kinds of layer: parameters, cache, memory.
// Absent:  of a real model: the embedding look-up's time (one row copied per token), sampling, tokenisation.
// Units:   element counts, bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "harness/plan/model.h"

namespace layercost {

struct ParameterCount {
  std::int64_t total = 0;   // embedding, layers, final norm, head (once if tied)
  std::int64_t active = 0;  // layers with top_k experts, final norm and head; no embedding: the *promised* count
  std::int64_t active_with_embedding = 0;  // as model cards count
  std::int64_t active_layers = 0;          // layers only
};
// Sums that do not fit are the largest number instead.
ParameterCount count_parameters(const ModelSpec&);

// Of one layer for multi-token prediction, its norms and projection included; embedding and head are the model's.
struct MtpCount {
  std::int64_t total = 0, active = 0;
};
MtpCount count_mtp_layer(const ModelSpec&, const LayerKind& mtp);

// Elements that one token adds to the caches of all layers.
std::int64_t kv_elements_per_token(const ModelSpec&);

// What one sequence has in states of all layers, however long it is, where they hold activations of this type.
double state_bytes_per_sequence(const ModelSpec&, DType activation_type);

// What is known of a layer's step before it runs: the distinct experts that its routing is expected to touch.
WorkFacts expected_facts(const LayerPlan&, const Scenario&);

// What the whole model needs on one device at this point: bytes, and the largest batch that fits (absent: none).
struct MemoryNeed {
  double weight_bytes = 0, activation_bytes = 0;
  double kv_bytes = 0;       // that later steps can still ask for, states included: of a sliding layer its window
  double kv_held_bytes = 0;  // of an engine that keeps what windows have left behind
  std::optional<std::int64_t> largest_batch;
  double state_bytes = 0;  // of kv_bytes, those of linear attention, which no context makes larger
  double total_bytes() const { return weight_bytes + kv_bytes + activation_bytes; }
};
MemoryNeed memory_need(const ModelSpec&, const Scenario&, double device_bytes);
// At this batch, within the model's positions; absent: not even one token fits.
std::optional<std::int64_t> largest_context(const ModelSpec&, const Scenario&, double device_bytes);

}  // namespace layercost

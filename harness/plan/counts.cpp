// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/counts.h"

#include <algorithm>
#include <limits>

namespace layercost {
namespace {

// Sums and products that cannot wrap: what does not fit is clamped to the largest number, which every limit refuses.
class Clamped {
 public:
  Clamped(std::int64_t value) : value_(value) {}  // NOLINT: conversion wanted
  Clamped operator*(Clamped other) const {
    std::int64_t result = 0;
    return __builtin_mul_overflow(value_, other.value_, &result) ? kMost : result;
  }
  Clamped operator+(Clamped other) const {
    std::int64_t result = 0;
    return __builtin_add_overflow(value_, other.value_, &result) ? kMost : result;
  }
  std::int64_t value() const { return value_; }

 private:
  static constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::int64_t value_;
};

struct PlanCount {
  Clamped all = 0, active = 0;
};
PlanCount count_weights(const LayerPlan& plan) {
  PlanCount n;
  const std::optional<ExpertChoice> experts = plan.experts();
  for (const WeightSpec& w : plan.weights) {
    if (w.rule) continue;
    const std::int64_t elements = elements_of(w.shape);
    n.all = n.all + elements;
    n.active = n.active + (w.per_expert ? Clamped(elements / w.shape[0]) * experts->top_k : elements);
  }
  return n;
}

}  // namespace

ParameterCount count_parameters(const ModelSpec& m) {
  if (m.whole != nullptr) return count_parameters(*m.whole);
  Clamped total = 0, active_layers = 0;
  for (const LayerKind& kind : m.kinds) {
    const LayerPlan plan = plan_layer(m, kind, {});
    const PlanCount one = count_weights(plan);
    total = total + one.all * plan.count;
    active_layers = active_layers + one.active * plan.count;
  }
  const Clamped head = count_weights(plan_head(m, 1, {})).all;
  total = total + head;
  const Clamped active = active_layers + head, untied = m.tied_embeddings ? 0 : Clamped(m.hidden) * m.vocab;
  return {.total = (total + untied).value(),
          .active = active.value(),
          .active_with_embedding = (active + untied).value(),
          .active_layers = active_layers.value()};
}

MtpCount count_mtp_layer(const ModelSpec& m, const LayerKind& mtp) {
  const PlanCount n = count_weights(plan_layer(m, mtp, {}));
  return {n.all.value(), n.active.value()};
}

std::int64_t kv_elements_per_token(const ModelSpec& m) {
  Clamped n = 0;
  for (const LayerKind& kind : m.kinds) {
    const LayerPlan plan = plan_layer(m, kind, {});  // one sequence of one token
    for (const BufferSpec& b : plan.buffers)
      if (b.role == BufferRole::cache) n = n + Clamped(elements_of(b.shape)) * plan.count;
  }
  return n.value();
}

double state_bytes_per_sequence(const ModelSpec& m, DType activation_type) {
  StepShape one;
  one.activation_type = activation_type;
  double n = 0;
  for (const LayerKind& kind : m.kinds) {
    const LayerPlan plan = plan_layer(m, kind, one);
    n += plan.state_bytes() * static_cast<double>(plan.count);
  }
  return n;
}

WorkFacts expected_facts(const LayerPlan& plan, const Scenario& s) {
  const auto experts = plan.experts();
  if (!experts) return {};
  return {expected_distinct_experts(s.routing, experts->experts, experts->top_k, plan.shape.tokens())};
}

MemoryNeed memory_need(const ModelSpec& m, const Scenario& s, double device_bytes) {
  const auto at_batch = [&](std::int64_t batch) {
    Scenario one = s;
    one.batch = batch;
    const StepShape shape = step_shape(one, m.experts.has_value());
    MemoryNeed need;
    for (const LayerKind& kind : m.kinds) {
      const LayerPlan plan = plan_layer(m, kind, shape);
      const auto count = static_cast<double>(plan.count);
      need.weight_bytes += count * plan.weight_bytes();
      need.kv_bytes += count * (plan.needed_cache_bytes() + plan.state_bytes());
      need.kv_held_bytes += count * (plan.cache_bytes() + plan.state_bytes());
      need.state_bytes += count * plan.state_bytes();
      need.activation_bytes = std::max(need.activation_bytes, plan.activation_bytes());
    }
    const LayerPlan head = plan_head(m, batch, shape);
    need.weight_bytes += head.weight_bytes();
    if (!m.tied_embeddings)
      need.weight_bytes += static_cast<double>(m.hidden * m.vocab) * static_cast<double>(size_of(s.weights.head)) /
                           static_cast<double>(m.ranks);
    need.activation_bytes += head.activation_bytes();
    return need;
  };
  MemoryNeed need = at_batch(s.batch);
  if (const double one = at_batch(1).total_bytes(); one <= device_bytes) {
    // Need grows linearly in the batch: two points give slope and start.
    const double slope = at_batch(2).total_bytes() - one;
    need.largest_batch = 1 + static_cast<std::int64_t>((device_bytes - one) / slope);
  }
  return need;
}

// Need grows with the context: halving.
std::optional<std::int64_t> largest_context(const ModelSpec& m, const Scenario& s, double device_bytes) {
  constexpr std::int64_t kMostContext = std::int64_t{1} << 24;
  const auto fits = [&](std::int64_t context) {
    Scenario at = s;
    at.context = context;
    return memory_need(m, at, device_bytes).total_bytes() <= device_bytes;
  };
  const std::int64_t positions = m.max_position > 0 ? std::min(m.max_position, kMostContext) : kMostContext;
  std::int64_t low = 1, high = std::max<std::int64_t>(1, positions - (s.phase == Phase::decode));
  if (!fits(low)) return std::nullopt;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

}  // namespace layercost

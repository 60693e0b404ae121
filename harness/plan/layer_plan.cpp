// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/layer_plan.h"

#include <algorithm>
#include <cmath>

#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// A toy model beside a server's cache would need ten thousand layers; it is measured partly cached, and says so.
constexpr double kMostLayers = 512;

}  // namespace

std::string to_string(Phase p) { return p == Phase::prefill ? "prefill" : "decode"; }

StepShape step_shape(const Scenario& s, bool has_experts) {
  StepShape out;
  out.batch = s.batch;
  out.q_len = s.phase == Phase::decode ? 1 : s.context;
  out.kv_len = s.phase == Phase::decode ? s.context + 1 : s.context;
  out.capacity = out.kv_len;
  out.weights = s.weights;
  out.activation_type = s.activation_type;
  out.kv_type = s.kv_type;
  out.forced_routing = has_experts && s.routing.kind != RoutingSpec::Kind::router;
  return out;
}

double BufferSpec::bytes() const {
  return static_cast<double>(elements_of(shape)) * static_cast<double>(size_of(dtype));
}
double BufferSpec::needed_bytes() const {
  if (!window || shape[2] <= *window) return bytes();
  return bytes() / static_cast<double>(shape[2]) * static_cast<double>(*window);
}
double WeightSpec::bytes() const { return (stored != nullptr ? stored : format)->bytes(shape); }

const BufferSpec* LayerPlan::find_buffer(BufferRole role) const {
  const auto it = std::find_if(buffers.begin(), buffers.end(), [&](const BufferSpec& b) { return b.role == role; });
  return it == buffers.end() ? nullptr : &*it;
}

const BufferSpec& LayerPlan::buffer(BufferRole role) const {
  if (const BufferSpec* b = find_buffer(role)) return *b;
  throw BadCase("the plan of a " + kind + " layer lacks a buffer that every such layer has");
}

const PlannedOp* LayerPlan::router() const {
  const BufferSpec* ids = find_buffer(BufferRole::expert_ids);
  if (ids == nullptr) return nullptr;
  for (const PlannedOp& p : ops)
    for (const TensorSpec& t : find_op(p.op_case.op()).tensors(p.op_case))
      if (t.role == Role::output && p.bind.at(t.name) == ids->name) return &p;
  return nullptr;
}

const BufferSpec* LayerPlan::chosen_ids() const {
  const BufferSpec* ids = find_buffer(BufferRole::expert_ids);
  return ids != nullptr ? ids : find_buffer(BufferRole::forced_ids);
}

std::optional<ExpertChoice> LayerPlan::experts() const {
  const BufferSpec* ids = chosen_ids();
  if (ids == nullptr) return std::nullopt;
  for (const PlannedOp& p : ops)
    if (p.op_case.has("experts") && p.bind.contains("ids") && p.bind.at("ids") == ids->name)
      return ExpertChoice{p.op_case.axis("experts"), p.op_case.axis("top_k")};
  return std::nullopt;
}

double LayerPlan::weight_bytes() const {
  double n = 0;
  for (const WeightSpec& w : weights) n += w.bytes();
  return n;
}

double LayerPlan::held_weight_bytes() const {
  double n = 0;
  for (const WeightSpec& w : weights)
    n += w.format->held_bytes(w.shape) + (stored_weights && w.format->is_plain() ? w.bytes() : 0);
  return n;
}

double LayerPlan::cache_bytes() const {
  double n = 0;
  for (const BufferSpec& b : buffers)
    if (b.role == BufferRole::cache) n += b.bytes();
  return n;
}
double LayerPlan::needed_cache_bytes() const {
  double sum = 0;
  for (const BufferSpec& b : buffers)
    if (b.role == BufferRole::cache) sum += b.needed_bytes();
  return sum;
}

double LayerPlan::state_bytes() const {
  double n = 0;
  for (const BufferSpec& b : buffers)
    if (b.role == BufferRole::next_state) n += b.bytes();
  return n;
}

double LayerPlan::activation_bytes() const {
  double n = 0;
  for (const BufferSpec& b : buffers)
    if (b.role != BufferRole::cache && b.role != BufferRole::state && b.role != BufferRole::next_state) n += b.bytes();
  return n;
}

double LayerPlan::touched_bytes(const WorkFacts& facts) const {
  double n = 0;
  for (const PlannedOp& p : ops) {
    const Work w = find_op(p.op_case.op()).work(p.op_case, facts);
    n += w.weight_bytes + w.kv_read_bytes;
  }
  return n;
}

StackSize stack_size(const LayerPlan& plan, const WorkFacts& facts, double last_level_cache_bytes, double memory_bytes,
                     bool keeps_codes) {
  const double touched = plan.touched_bytes(facts);
  double held = plan.held_bytes();
  if (keeps_codes)
    for (const WeightSpec& w : plan.weights)
      if (!w.format->is_plain()) held += w.bytes();
  StackSize s;
  // At least two: with one layer its own output would feed it back from cache.
  const double wanted = std::clamp(1 + std::ceil(2 * last_level_cache_bytes / touched), 2.0, kMostLayers);
  // One matrix at a time is made in row-major order before it is packed.
  double largest = 0;
  for (const WeightSpec& w : plan.weights) largest = std::max(largest, w.bytes());
  const double fixed = plan.activation_bytes() + largest;
  const double room = std::floor((memory_bytes - fixed) / held);
  s.layers = static_cast<std::int64_t>(std::clamp(room, 1.0, wanted));
  s.reuse_distance_bytes = static_cast<double>(s.layers - 1) * touched;
  s.cold = s.reuse_distance_bytes >= 2 * last_level_cache_bytes;
  s.need_bytes = fixed + static_cast<double>(s.layers) * held;
  return s;
}

}  // namespace layercost

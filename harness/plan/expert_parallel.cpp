// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/expert_parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "harness/spec/part_name.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

std::size_t experts_op(const LayerPlan& plan) {
  const auto it = std::find_if(plan.ops.begin(), plan.ops.end(),
                               [](const PlannedOp& p) { return p.op_case.op() == "moe_experts"; });
  if (it == plan.ops.end()) throw BadCase("the plan of a " + plan.kind + " layer has no experts to share");
  return static_cast<std::size_t>(it - plan.ops.begin());
}

bool is_bound(const PlannedOp& op, const std::string& name) {
  return std::any_of(op.bind.begin(), op.bind.end(), [&](const auto& b) { return b.second == name; });
}

// The case without its keys for sizes and the residual: what one mixture does whatever its number of tokens.
OpCase case_of(const OpCase& c, std::int64_t tokens, std::int64_t experts) {
  OpCase out(c.op());
  for (const auto& [key, value] : c.values()) {
    if (key == "tokens") out.set(key, tokens);
    else if (key == "experts") out.set(key, experts);
    else if (key == "top_k") out.set(key, 1);
    else if (key != "residual") out.set(key, value);
  }
  return out;
}

LayerPlan own_part(LayerPlan plan) {
  const std::size_t at = experts_op(plan);
  const PlannedOp experts = plan.ops[at];
  std::erase_if(plan.weights, [&](const WeightSpec& w) { return is_bound(experts, w.name); });
  const std::int64_t t = plan.shape.tokens(), k = experts.op_case.axis("top_k"), h = experts.op_case.axis("hidden");
  const DType type = experts.op_case.type("x_type");
  plan.buffers.push_back({"returned", type, {t, k * h}, BufferRole::from_outside});
  plan.buffers.push_back({"returned_rows", DType::i32, {t, k}, BufferRole::row_numbers});
  OpCase combine("moe_combine");
  combine.set("tokens", t).set("hidden", h).set("top_k", k).set("x_type", type);
  combine.set("y_type", experts.op_case.type("y_type"));
  std::map<std::string, std::string> bind = {{"x", "returned"},
                                             {"slots", "returned_rows"},
                                             {"weights", experts.bind.at("weights")},
                                             {"y", experts.bind.at("y")}};
  if (experts.op_case.flag("residual")) {
    combine.set("residual", 1);
    bind["residual"] = experts.bind.at("residual");
  }
  plan.ops[at] = {"combine", std::move(combine), std::move(bind)};
  return plan;
}

LayerPlan received_part(const LayerPlan& whole, std::int64_t devices, std::int64_t ranks) {
  const PlannedOp& experts = whole.ops[experts_op(whole)];
  const std::int64_t rows = received_rows(whole.shape.tokens(), experts.op_case.axis("top_k"), ranks);
  const std::int64_t h = experts.op_case.axis("hidden");
  const std::int64_t held = experts.op_case.axis("experts") / devices;
  LayerPlan plan;
  plan.shape = whole.shape;
  plan.shape.batch = rows;
  plan.shape.q_len = plan.shape.kv_len = plan.shape.capacity = 1;
  plan.adds_to_input = false;
  const DType x_type = experts.op_case.type("x_type");
  plan.buffers = {{"input", x_type, {rows, h}, BufferRole::input},
                  {"ids", DType::i32, {rows, 1}, BufferRole::forced_ids},
                  {"unit_weights", DType::f32, {rows, 1}, BufferRole::ones},
                  {"output", experts.op_case.type("y_type"), {rows, h}, BufferRole::output}};
  std::map<std::string, std::string> bind = {
      {"x", "input"}, {"ids", "ids"}, {"weights", "unit_weights"}, {"y", "output"}};
  for (WeightSpec w : whole.weights) {
    if (!is_bound(experts, w.name)) continue;
    w.sources.resize(w.sources.size() * static_cast<std::size_t>(held) / static_cast<std::size_t>(w.shape[0]));
    w.shape[0] = held;
    for (const auto& [tensor, name] : experts.bind)
      if (name == w.name) bind[tensor] = name;
    plan.weights.push_back(std::move(w));
  }
  plan.ops.push_back({experts.component, case_of(experts.op_case, rows, held), std::move(bind)});
  return plan;
}

}  // namespace

ModelSpec share_experts(const ModelSpec& m, std::int64_t devices) {
  if (m.devices > 1) throw BadInput(fmt::format("--ep: {} is one of several devices already", m.name));
  if (!m.experts) throw BadInput(fmt::format("--ep: {} has no experts to share", m.name));
  if (m.experts->experts % devices != 0)
    throw BadInput(
        fmt::format("--ep: {} devices do not divide the {} experts of {}", devices, m.experts->experts, m.name));
  if (devices % m.ranks != 0)
    throw BadInput(fmt::format("--ep: {} devices are no multiple of the {} ranks that share the layers of {}", devices,
                               m.ranks, m.name));
  ModelSpec out = m;
  if (m.whole == nullptr) out.whole = std::make_shared<const ModelSpec>(m);
  out.devices = devices;
  out.name += fmt::format("@ep{}", devices);
  std::vector<LayerKind> kinds, received;
  for (const LayerKind& kind : m.kinds) {
    LayerKind own = kind;
    if (const LayerPlan whole = plan_layer(out, kind, {}); whole.experts()) {
      if (whole.ops[experts_op(whole)].op_case.flag("weigh_input"))
        throw BadInput(
            fmt::format("--ep: {}: experts that see the token times its weight are not supported yet", m.name));
      own.part = [](LayerPlan plan) { return own_part(std::move(plan)); };
      LayerKind other = kind;
      other.name = fmt::format("{}{}", kReceivedPart, kind.name);
      other.part = [devices, ranks = m.ranks](LayerPlan plan) { return received_part(plan, devices, ranks); };
      received.push_back(std::move(other));
    }
    kinds.push_back(std::move(own));
  }
  std::move(received.begin(), received.end(), std::back_inserter(kinds));
  out.kinds = std::move(kinds);
  return out;
}

double exchange_bytes(const ModelSpec& m, const StepShape& shape) {
  if (m.devices == 1) return 0;
  double rows = 0;
  for (const LayerKind& kind : m.kinds)
    if (is_received_part(kind.name)) {
      const LayerPlan plan = plan_layer(m, kind, shape);
      rows += static_cast<double>(plan.count * plan.shape.tokens());
    }
  const auto others = static_cast<double>(m.devices - 1) / static_cast<double>(m.devices);
  return (1 + static_cast<double>(m.ranks)) * others * rows * static_cast<double>(m.hidden) *
         static_cast<double>(size_of(shape.activation_type));
}

}  // namespace layercost

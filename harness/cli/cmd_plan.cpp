// layercost plan: ops, shapes, FLOPs, bytes, memory; needs no device.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/cli/amounts.h"
#include "harness/cli/commands.h"
#include "harness/cli/listing.h"
#include "harness/cli/points.h"
#include "harness/cli/projecting.h"
#include "harness/cli/terminal.h"
#include "harness/measure/op_records.h"
#include "harness/plan/counts.h"
#include "harness/plan/expert_parallel.h"
#include "harness/plan/tensor_parallel.h"
#include "harness/spec/part_name.h"
#include "kernels/contract/registry.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Options {
  PointOptions points;
  ProjectionOptions projection;
  bool json = false;
};

struct OpWork {
  const PlannedOp* op = nullptr;
  Work work;                             // at the expected number of distinct experts
  double bytes_per_distinct_expert = 0;  // a part of work.weight_bytes, that many times
  double cache_bytes() const { return work.kv_read_bytes + work.kv_write_bytes; }
};

struct KindWork {
  LayerPlan plan;
  std::vector<OpWork> ops;
};

// One point, with everything that table and JSON show.
struct PlannedPoint {
  const ModelSpec& model;
  const Scenario& scenario;
  StepShape shape;
  WorkFacts facts = {};                      // of the layers with experts; of a device that shares them, of what it has
  std::optional<ExpertChoice> experts = {};  // whose facts these are
  std::vector<KindWork> kinds = {};          // the head last
  std::optional<KindWork> mtp = {};          // a layer for multi-token prediction, which no step has
  double device_bytes = 0;                   // of this machine
  MemoryNeed need = {};
  std::optional<PointProjection> projection = {};
  double flops = 0, bytes = 0;  // of the whole model; bytes: weights and cache
};

PlannedPoint plan_point(const ModelSpec& m, const Scenario& s, const std::optional<ProjectionTarget>& on) {
  PlannedPoint p{.model = m, .scenario = s, .shape = step_shape(s, m.experts.has_value())};
  const auto work_of = [&](LayerPlan plan) {
    KindWork kind{std::move(plan), {}};
    const std::vector<OpRecord> records = op_records(kind.plan);
    const WorkFacts facts = expected_facts(kind.plan, s);
    if (kind.plan.experts()) p.facts = facts, p.experts = kind.plan.experts();
    for (std::size_t i = 0; i < records.size(); ++i) {
      const PlannedOp& op = kind.plan.ops[i];
      OpWork& w = kind.ops.emplace_back();
      w.op = &op;  // in memory that moves with the plan
      w.work = find_op(op.op_case.op()).work(op.op_case, facts);
      w.bytes_per_distinct_expert = records[i].bytes_per_distinct_expert;
      p.flops += static_cast<double>(kind.plan.count) * w.work.flops;
      p.bytes += static_cast<double>(kind.plan.count) * (w.work.weight_bytes + w.cache_bytes());
    }
    return kind;
  };
  if (m.mtp_layers > 0) p.mtp = work_of(plan_layer(m, m.mtp, p.shape));
  for (const LayerKind& kind : m.kinds) p.kinds.push_back(work_of(plan_layer(m, kind, p.shape)));
  p.kinds.push_back(work_of(plan_head(m, s.batch, p.shape)));
  p.device_bytes = static_cast<double>(describe_cpu().memory_bytes);
  p.need = memory_need(m, s, p.device_bytes);
  if (on) p.projection = project_point(*on, m, s);
  return p;
}

// The matrices that an op multiplies with and their formats, in the plan's order.
std::vector<std::pair<std::string, std::string>> matrices_of(const LayerPlan& plan, const PlannedOp& op) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const WeightSpec& w : plan.weights)
    if (w.shape.size() > 1)
      for (const auto& [tensor, name] : op.bind)
        if (name == w.name) out.emplace_back(w.name, w.format->name);
  return out;
}

// Of the layer for multi-token prediction, whether it is among the kinds or not; of one of several devices the whole.
std::optional<MtpCount> mtp_count(const ModelSpec& m) {
  if (m.whole != nullptr) return mtp_count(*m.whole);
  if (m.mtp_layers > 0) return count_mtp_layer(m, m.mtp);
  for (const LayerKind& kind : m.kinds)
    if (kind.name.starts_with(kMtpPart)) return count_mtp_layer(m, kind);
  return std::nullopt;
}

// ---- For people

// Parameters, as model cards say them.
std::string count(std::int64_t n) {
  const auto v = static_cast<double>(n);
  return n >= 1'000'000'000 ? fmt::format("{:.2f} B", v / 1e9) : si(v, "");
}

void print_point(std::string& out, const PlannedPoint& p, const std::optional<ProjectionTarget>& on) {
  const ModelSpec& m = p.model;
  const Scenario& s = p.scenario;
  const ParameterCount n = count_parameters(m);
  say(out, "{}: {} layers, {} parameters, {} active per token", m.name, m.layers, count(n.total), count(n.active));
  if (n.active_with_embedding != n.active) say(out, " ({} with the embedding)", count(n.active_with_embedding));
  say(out, "\n");
  for (const std::string& note : m.notes) say(out, "  note: {}\n", note);
  if (s.phase == Phase::decode)
    say(out, "decode, batch {}, {} tokens already cached; {}\n", s.batch, s.context, s.weights.name());
  else say(out, "prefill, batch {}, {} tokens each; {}\n", s.batch, s.context, s.weights.name());
  if (m.experts)
    say(out, "routing {}: {:.1f} of {} experts expected to be touched per layer\n", s.routing.name(),
        *p.facts.distinct_experts, p.experts->experts);
  if (m.ranks > 1)
    say(out, "one of {} ranks that share every layer; a step sends {} and receives as much, which is not in any time\n",
        m.ranks, collectives_text(collectives_of(m, p.shape)));
  if (m.devices > 1)
    say(out,
        "one of {} devices that share the experts; a step sends {} and receives as much, which is not in any time\n",
        m.devices, si(exchange_bytes(m, p.shape), "B"));
  std::vector<const KindWork*> kinds;
  for (const KindWork& kind : p.kinds) kinds.push_back(&kind);
  if (p.mtp) kinds.push_back(&*p.mtp);
  for (const KindWork* shown : kinds) {
    const KindWork& kind = *shown;
    if (kind.plan.count > 0) {
      say(out, "\n{} x {}\n", kind.plan.count, kind.plan.kind);
    } else {
      const MtpCount one = *mtp_count(m);
      say(out,
          "\n{}, not counted in a step: {} parameters beside the model's, {} of them active; its head is the "
          "model's\n",
          kind.plan.kind, count(one.total), count(one.active));
    }
    Listing listing({{.head = "component", .gap = 2, .align = Align::left},
                     {.head = "op", .align = Align::left, .leaves = 2},
                     {.head = "matrix in", .align = Align::left, .leaves = 3},
                     {.head = "FLOPs"},
                     {.head = "weights"},
                     {.head = "cache"},
                     {.head = "case", .width = 8, .gap = 3, .align = Align::left, .shrinks = true, .leaves = 1}});
    Work sum;
    for (const OpWork& w : kind.ops) {
      const std::string text = w.op->op_case.text();
      const auto matrices = matrices_of(kind.plan, *w.op);  // of one op all have one format
      listing.add({w.op->component, w.op->op_case.op(), matrices.empty() ? "" : matrices.front().second,
                   si(w.work.flops, "FLOP"), si(w.work.weight_bytes, "B"),
                   w.cache_bytes() > 0 ? si(w.cache_bytes(), "B") : "", text.substr(text.find(' ') + 1)});
      sum.flops += w.work.flops;
      sum.weight_bytes += w.work.weight_bytes;
      sum.kv_read_bytes += w.cache_bytes();
    }
    listing.add({"sum", "", "", si(sum.flops, "FLOP"), si(sum.weight_bytes, "B"), si(sum.kv_read_bytes, "B"), ""});
    out += listing.text();
  }
  say(out, "\nwhole model, one step: {}, {} of weights and cache to be read and written\n", si(p.flops, "FLOP"),
      si(p.bytes, "B"));
  out += memory_text(p.need, p.device_bytes, "this machine");
  if (p.projection) out += projection_text(*on, *p.projection, false);
}

// ---- For programs

OrderedJson to_json(const KindWork& kind) {
  OrderedJson ops = OrderedJson::array();
  for (const OpWork& w : kind.ops) {
    OrderedJson op = {{"component", w.op->component},
                      {"case", w.op->op_case.text()},
                      {"flops", json_number(w.work.flops)},
                      {"weight_bytes", json_number(w.work.weight_bytes)},
                      {"kv_read_bytes", json_number(w.work.kv_read_bytes)},
                      {"kv_write_bytes", json_number(w.work.kv_write_bytes)}};
    for (const auto& [name, format] : matrices_of(kind.plan, *w.op)) op["matrices"][name] = format;
    if (w.bytes_per_distinct_expert > 0) op["bytes_per_distinct_expert"] = json_number(w.bytes_per_distinct_expert);
    ops.push_back(std::move(op));
  }
  return {{"kind", kind.plan.kind}, {"count", kind.plan.count}, {"ops", std::move(ops)}};
}

OrderedJson to_json(const PlannedPoint& p, const std::optional<ProjectionTarget>& on) {
  const ModelSpec& m = p.model;
  const Scenario& s = p.scenario;
  const ParameterCount n = count_parameters(m);
  OrderedJson model = {{"name", m.name},
                       {"model_type", m.model_type},
                       {"layers", m.layers},
                       {"hidden", m.hidden},
                       {"vocab", m.vocab},
                       {"parameters_total", n.total},
                       {"parameters_active", n.active},
                       {"parameters_active_with_embedding", n.active_with_embedding}};
  if (m.experts) model.update({{"experts", m.experts->experts}, {"top_k", m.experts->top_k}});
  model["notes"] = m.notes;
  if (const auto one = mtp_count(m))
    model["mtp"] = {{"parameters_total", one->total}, {"parameters_active", one->active}};
  OrderedJson kinds = OrderedJson::array();
  for (const KindWork& kind : p.kinds) kinds.push_back(to_json(kind));
  if (p.mtp) kinds.push_back(to_json(*p.mtp));
  OrderedJson out = {{"model", std::move(model)},
                     {"phase", to_string(s.phase)},
                     {"batch", s.batch},
                     {"context", s.context},
                     {"weights_format", s.weights.name()},
                     {"activation_type", to_string(s.activation_type)},
                     {"kv_type", to_string(s.kv_type)}};
  if (m.experts)
    out.update({{"routing", s.routing.name()}, {"distinct_experts_expected", json_number(*p.facts.distinct_experts)}});
  if (m.devices > 1) out.update({{"devices", m.devices}, {"exchange_bytes", json_number(exchange_bytes(m, p.shape))}});
  if (m.ranks > 1) {
    OrderedJson collectives = OrderedJson::array();
    for (const Collective& c : collectives_of(m, p.shape))
      collectives.push_back({{"collective", c.name}, {"count", c.count}, {"bytes", json_number(c.bytes)}});
    out.update({{"ranks", m.ranks}, {"collectives", std::move(collectives)}});
  }
  out["kv_bytes_per_token"] = kv_elements_per_token(m) * static_cast<std::int64_t>(size_of(s.kv_type));
  out["state_bytes_per_sequence"] = json_number(state_bytes_per_sequence(m, s.activation_type));
  out["flops"] = json_number(p.flops);
  out["bytes"] = json_number(p.bytes);
  out["memory"] = memory_json(p.need, p.device_bytes);
  out["kinds"] = std::move(kinds);
  if (p.projection) out["on"] = projection_json(*on, *p.projection);
  return out;
}

int plan(const Options& o) {
  const Points points = make_points(o.points, configs_dir());
  const std::optional<ProjectionTarget> on = projection_target(o.projection, configs_dir());
  OrderedJson list = OrderedJson::array();
  for (const RunPoint& point : points.points) {
    const PlannedPoint planned = plan_point(points.models[point.model], point.scenario, on);
    if (o.json) {
      list.push_back(to_json(planned, on));
      continue;
    }
    if (&point != &points.points.front()) fmt::print("\n----\n\n");
    std::string text;
    print_point(text, planned, on);
    fmt::print("{}", wrapped_lines(text));
  }
  if (o.json) fmt::print("{}\n", OrderedJson{{"points", std::move(list)}}.dump(1));
  return 0;
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("plan", "ops, shapes, FLOPs, bytes and memory of a model at a point; needs no device");
  auto o = std::make_shared<Options>();
  add_point_options(*c, o->points);
  add_checkpoint_options(*c, o->points);
  add_projection_options(*c, o->projection);
  c->add_flag("--json", o->json, "for programs: exact numbers, one JSON object");
  c->callback([o, &action] { action = [o] { return plan(*o); }; });
}

}  // namespace layercost

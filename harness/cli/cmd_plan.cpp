// layercost plan: ops, shapes, FLOPs, bytes, memory; needs no device.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cli/commands.h"
#include "harness/cli/points.h"
#include "harness/plan/counts.h"
#include "kernels/contract/registry.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

std::string si(double v, const char* unit) {
  const char* prefix[] = {"", "k", "M", "G", "T", "P", "E"};
  int i = 0;
  while (v >= 999.5 && i < 6) {
    v /= 1000;
    ++i;
  }
  return fmt::format("{:.3g} {}{}", v, prefix[i], unit);
}

void print_plan(const ModelSpec& m, const Scenario& s) {
  const StepShape shape = step_shape(s, m.experts.has_value());
  const ParameterCount n = count_parameters(m);
  fmt::print("{}: {} layers, {} parameters, {} active per token\n", m.name, m.layers,
             si(static_cast<double>(n.total), ""), si(static_cast<double>(n.active), ""));
  for (const std::string& note : m.notes) fmt::print("  note: {}\n", note);
  if (s.phase == Phase::decode)
    fmt::print("decode, batch {}, {} tokens already cached; {}\n", s.batch, s.context, s.weights.matrices->name);
  else fmt::print("prefill, batch {}, {} tokens each; {}\n", s.batch, s.context, s.weights.matrices->name);
  WorkFacts facts;
  if (m.experts) {
    facts.distinct_experts = expected_distinct_experts(s.routing, m.experts->experts, m.experts->top_k, shape.tokens());
    fmt::print("routing {}: {:.1f} of {} experts expected to be touched per layer\n", s.routing.name(),
               *facts.distinct_experts, m.experts->experts);
  }
  double model_flops = 0, model_bytes = 0;
  const auto show = [&](const LayerPlan& plan) {
    fmt::print("\n{} x {}\n  {:<15} {:<15} {:>12} {:>12} {:>12}   {}\n", plan.count, plan.kind, "component", "op",
               "FLOPs", "weights", "cache", "case");
    Work sum;
    for (const PlannedOp& p : plan.ops) {
      const Work w = find_op(p.op_case.op()).work(p.op_case, facts);
      const double cache = w.kv_read_bytes + w.kv_write_bytes;
      const std::string text = p.op_case.text();
      fmt::print("  {:<15} {:<15} {:>12} {:>12} {:>12}   {}\n", p.component, p.op_case.op(), si(w.flops, "FLOP"),
                 si(w.weight_bytes, "B"), cache > 0 ? si(cache, "B") : "", text.substr(text.find(' ') + 1));
      sum.flops += w.flops;
      sum.weight_bytes += w.weight_bytes;
      sum.kv_read_bytes += cache;
    }
    fmt::print("  {:<15} {:<15} {:>12} {:>12} {:>12}\n", "sum", "", si(sum.flops, "FLOP"), si(sum.weight_bytes, "B"),
               si(sum.kv_read_bytes, "B"));
    model_flops += static_cast<double>(plan.count) * sum.flops;
    model_bytes += static_cast<double>(plan.count) * (sum.weight_bytes + sum.kv_read_bytes);
  };
  for (const LayerKind& kind : m.kinds) show(plan_layer(m, kind, shape));
  show(plan_head(m, s.batch, shape));
  const DeviceInfo d = describe_cpu();
  const MemoryNeed need = memory_need(m, s, static_cast<double>(d.memory_bytes));
  const double total = need.weight_bytes + need.kv_bytes + need.activation_bytes;
  fmt::print("\nwhole model, one step: {}, {} of weights and cache to be read\n", si(model_flops, "FLOP"),
             si(model_bytes, "B"));
  fmt::print("memory: {} weights + {} KV cache + {} activations = {}\n", si(need.weight_bytes, "B"),
             si(need.kv_bytes, "B"), si(need.activation_bytes, "B"), si(total, "B"));
  if (total <= static_cast<double>(d.memory_bytes))
    fmt::print("fits this machine ({}); largest batch that would: {}\n", si(static_cast<double>(d.memory_bytes), "B"),
               need.largest_batch.value_or(0));
  else if (need.largest_batch)
    fmt::print("does not fit this machine ({}); largest batch that would: {}\n",
               si(static_cast<double>(d.memory_bytes), "B"), *need.largest_batch);
  else fmt::print("does not fit this machine ({}), at no batch\n", si(static_cast<double>(d.memory_bytes), "B"));
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("plan", "ops, shapes, FLOPs, bytes and memory of a model at a point; needs no device");
  auto o = std::make_shared<PointOptions>();
  add_point_options(*c, *o);
  c->callback([o, &action] {
    action = [o] {
      const auto [models, points, pairs, suite] = make_points(*o, configs_dir());
      for (std::size_t i = 0; i < points.size(); ++i) {
        if (i > 0) fmt::print("\n----\n\n");
        print_plan(models[points[i].model], points[i].scenario);
      }
      return 0;
    };
  });
}

}  // namespace layercost

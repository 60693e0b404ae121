// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/op_benchmark.h"

#include <benchmark/benchmark.h>

#include <algorithm>

#include "harness/measure/layer.h"
#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {

// The body is called again and again while the engine looks for its iteration count: the check and the packing are kept
// between calls of the same benchmark.
struct Prepared {
  std::string name;
  std::vector<std::unique_ptr<GuardedCase>> data;
  std::vector<std::unique_ptr<Invocation>> calls;
  std::unique_ptr<Graph> graph;  // GPU: all calls, one after the other
  WorkFacts facts;               // averaged over the copies
  std::string problem;
};
Prepared current;
ReferenceCache references;  // of the case that `current` is of: variants of a case follow each other

// On a GPU as many copies with weights and inputs of their own as make every byte come from memory: a reuse distance of
// 3 x the L2 cache, 64 copies at most.
std::int64_t copies_of(const OpDef& op, const OpCase& c, const Runtime& runtime) {
  if (runtime.on_host()) return 1;
  const Work w = op.work(c, {});
  const double bytes = w.weight_bytes + w.kv_read_bytes + w.kv_write_bytes + w.activation_bytes;
  const double cache = static_cast<double>(runtime.device().last_level_cache_bytes);
  return std::clamp<std::int64_t>(1 + static_cast<std::int64_t>(3 * cache / std::max(bytes, 1.0)), 1, 64);
}

// How many experts the routing of this case touches; absent for an op without routing.
std::optional<double> distinct_experts(const GuardedCase& data) {
  for (const TensorSpec& s : data.specs()) {
    if (s.name != "ids" && s.name != "offsets") continue;
    const Tensor& t = data.result(s.name);
    std::vector<std::int32_t> values(t.as<std::int32_t>(), t.as<std::int32_t>() + t.elements());
    std::sort(values.begin(), values.end());
    const auto different = std::unique(values.begin(), values.end()) - values.begin();
    // Offsets rise by the rows of each expert: one step for each that has any.
    return static_cast<double>(s.name == "ids" ? different : different - 1);
  }
  return std::nullopt;
}

bool any_failed = false;

void prepare(const std::string& name, const OpDef& op, const Variant& v, const OpCase& c, Runtime& runtime) {
  if (current.name == name) return;
  current = Prepared{};
  current.name = name;
  if (!references.contains({c.text(), 1})) references.clear();
  const CheckResult check = check_variant(op, v, c, runtime, 1, &references);
  if (!check.ok) {
    current.problem = check.problems.front();
    any_failed = true;
    return;
  }
  std::uint64_t seed = 0;
  for (std::int64_t i = 0; i < copies_of(op, c, runtime); ++i) {
    do ++seed;  // a fill whose own seed is a multiple of 3 sends all tokens to the same experts
    while (seed_for(seed, "ids") % 3 == 0);
    current.data.push_back(std::make_unique<GuardedCase>(op, c, seed, runtime));
    current.data.back()->fill(seed);
    if (const auto distinct = distinct_experts(*current.data.back()))
      current.facts.distinct_experts = current.facts.distinct_experts.value_or(0) + *distinct;
    current.calls.push_back(v.prepare(c, current.data.back()->tensors(), runtime));
    current.calls.back()->run();
  }
  if (auto& distinct = current.facts.distinct_experts) *distinct /= static_cast<double>(current.calls.size());
  if (!runtime.on_host())
    current.graph = runtime.capture([] {
      for (const auto& call : current.calls) call->run();
    });
}

}  // namespace

int run_op_benchmarks(const std::vector<OpCase>& cases, const std::vector<std::string>& arguments, Runtime& runtime) {
  std::vector<std::string> words = {"layercost ops"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  if (benchmark::ReportUnrecognizedArguments(argc, argv.data())) return 2;
  benchmark::AddCustomContext("caches",
                              runtime.on_host() ? "warm" : "cold, by rotating copies of the case in one graph");
  benchmark::AddCustomContext("device", runtime.device().name);
  benchmark::AddCustomContext("threads", std::to_string(runtime.device().threads));

  for (const OpCase& c : cases) find_op(c.op()).tensors(c);  // an impossible one is refused before anything runs
  for (const OpCase& c : cases) {
    const OpDef& op = find_op(c.op());
    const auto all = op.variants();
    std::vector<const Variant*> variants(all.begin(), all.end());
    // Those that can run first: the engine's CSV takes its columns from the first row, and one that is refused has no
    // counters.
    std::stable_partition(variants.begin(), variants.end(),
                          [&](const Variant* v) { return static_cast<bool>(support(op, *v, c, runtime.device())); });
    for (const Variant* v : variants) {
      if (v->target != runtime.device().target) continue;
      const std::string name = c.text() + " [" + v->name + "]";
      const auto body = [&op, v, c, name, &runtime](benchmark::State& state) {
        interrupt_check();
        if (const Support s = support(op, *v, c, runtime.device()); !s)
          return state.SkipWithError(("unsupported: " + s.why).c_str());
        prepare(name, op, *v, c, runtime);
        if (!current.problem.empty()) return state.SkipWithError(("wrong: " + current.problem).c_str());
        for (auto _ : state) {
          if (current.graph) {
            const double s = runtime.time([] { current.graph->launch(); }).device_s;
            state.SetIterationTime(s / static_cast<double>(current.calls.size()));
          } else {
            current.calls.front()->run();
          }
        }
        state.SetLabel(current.calls.front()->chosen());
        const Work w = op.work(c, current.facts);
        using benchmark::Counter;
        state.counters["FLOP/s"] = Counter(w.flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
        state.counters["B/s"] = Counter(w.weight_bytes + w.kv_read_bytes + w.kv_write_bytes + w.activation_bytes,
                                        Counter::kIsIterationInvariantRate, Counter::kIs1000);
      };
      auto* registered = benchmark::RegisterBenchmark(name.c_str(), body);
      runtime.on_host() ? registered->UseRealTime() : registered->UseManualTime();
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  current = Prepared{};
  references.clear();
  return any_failed ? 1 : 0;
}

}  // namespace layercost

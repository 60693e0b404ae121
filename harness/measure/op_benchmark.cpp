// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/op_benchmark.h"

#include <benchmark/benchmark.h>

#include "harness/measure/layer.h"
#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

namespace layercost {
namespace {

// The body is called again and again while the engine looks for its iteration count: the check and the packing are kept
// between calls of the same benchmark.
struct Prepared {
  std::string name;
  std::unique_ptr<GuardedCase> data;
  std::unique_ptr<Invocation> call;
  std::string problem;
};
Prepared current;
bool any_failed = false;

void prepare(const std::string& name, const OpDef& op, const Variant& v, const OpCase& c, Runtime& runtime) {
  if (current.name == name) return;
  current = Prepared{};
  current.name = name;
  const CheckResult check = check_variant(op, v, c, runtime, 1);
  if (!check.ok) {
    current.problem = check.problems.front();
    any_failed = true;
    return;
  }
  current.data = std::make_unique<GuardedCase>(op, c, 1, runtime);
  current.data->fill(1);
  current.call = v.prepare(c, current.data->tensors(), runtime);
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
  benchmark::AddCustomContext("caches", "warm");
  benchmark::AddCustomContext("threads", std::to_string(runtime.device().threads));

  for (const OpCase& c : cases) {
    const OpDef& op = find_op(c.op());
    for (const Variant* v : op.variants()) {
      if (v->target != runtime.device().target) continue;
      const std::string name = c.text() + " [" + v->name + "]";
      benchmark::RegisterBenchmark(name.c_str(), [&op, v, c, name, &runtime](benchmark::State& state) {
        interrupt_check();
        if (const Support s = v->supports(c, runtime.device()); !s)
          return state.SkipWithError(("unsupported: " + s.why).c_str());
        prepare(name, op, *v, c, runtime);
        if (!current.problem.empty()) return state.SkipWithError(("wrong: " + current.problem).c_str());
        for (auto _ : state) current.call->run();
        const Work w = op.work(c, {});
        using benchmark::Counter;
        state.counters["FLOP/s"] = Counter(w.flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
        state.counters["B/s"] = Counter(w.weight_bytes + w.kv_read_bytes + w.kv_write_bytes + w.activation_bytes,
                                        Counter::kIsIterationInvariantRate, Counter::kIs1000);
      })->UseRealTime();
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  current = Prepared{};
  return any_failed ? 1 : 0;
}

}  // namespace layercost

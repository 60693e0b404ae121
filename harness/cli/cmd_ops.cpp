// layercost ops: the op cases as a plain Google Benchmark program.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/commands.h"
#include "harness/cli/points.h"
#include "harness/measure/op_benchmark.h"

namespace layercost {
namespace {

struct Options {
  PointOptions points;
  std::vector<std::string> cases;
  std::string device;
  int threads = 0;
};

int ops(const Options& o, const std::vector<std::string>& engine_arguments) {
  std::vector<OpCase> cases;
  const auto add = [&](const OpCase& c) {
    if (std::find(cases.begin(), cases.end(), c) == cases.end()) cases.push_back(c);
  };
  for (const std::string& text : o.cases) add(OpCase::parse(text));
  if (cases.empty()) {
    PointOptions p = o.points;
    if (p.models.empty() && p.suite.empty()) {
      p.models = {"qwen3-0.6b", "qwen3-30b-a3b"};
      if (p.phase.empty()) p.phase = "decode";
      if (p.batches.empty()) p.batches = "1,8";
    }
    const Points points = make_points(p, configs_dir());
    for (const RunPoint& point : points.points) {
      const ModelSpec& m = points.models[point.model];
      StepShape shape = step_shape(point.scenario, false);
      for (const LayerKind& kind : m.kinds)
        for (const PlannedOp& op : plan_layer(m, kind, shape).ops) add(op.op_case);
    }
  }
  Runtime runtime(find_device(o.device, o.threads));
  return run_op_benchmarks(cases, engine_arguments, runtime);
}

}  // namespace

void add_ops(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("ops", "single ops under Google Benchmark (takes its --benchmark_... options)");
  auto o = std::make_shared<Options>();
  add_point_options(*c, o->points);
  c->add_option("--case", o->cases,
                "an op case in its text form, e.g. 'linear m=1 n=512 k=512 x_type=bf16 w_type=bf16 y_type=bf16'");
  c->add_option("--device", o->device, "cpu or cuda:N (default: cuda:0 where it can be used, else cpu)");
  c->add_option("--threads", o->threads, "number of CPU threads")->check(CLI::Range(1, 4096));
  c->allow_extras();
  c->callback([o, c, &action] {
    for (const std::string& word : c->remaining())
      if (!word.starts_with("--benchmark_") && word != "--v")
        throw BadInput("ops: unknown option '" + printable(word) + "'");
    action = [o, extra = c->remaining()] { return ops(*o, extra); };
  });
}

}  // namespace layercost

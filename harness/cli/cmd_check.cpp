// layercost check: does a layer compute what the real model computes?
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cli/commands.h"
#include "harness/cli/terminal.h"
#include "harness/measure/layer_check.h"
#include "harness/measure/verify.h"
#include "kernels/contract/registry.h"

namespace layercost {
namespace {

struct Options {
  std::string model, architecture, io, dtype = "f32", device, op;
  std::vector<std::string> weights;
  std::optional<std::string> prefix;
  std::int64_t layer = 0;
  int threads = 0;
};

int check_model(const Options& o) {
  const ModelSpec model = find_model(o.model, configs_dir(), o.architecture);
  Runtime runtime(find_device(o.device, o.threads));
  const std::vector<std::filesystem::path> files(o.weights.begin(), o.weights.end());
  Checkpoint checkpoint(files, model.quantization);
  const DType type = o.dtype == "f32" ? DType::f32
                     : o.dtype == "bf16"
                         ? DType::bf16
                         : throw BadInput("--dtype: expected f32 or bf16, got '" + printable(o.dtype) + "'");
  std::vector<LayerCheckRow> rows;
  std::string against = "against the references, on values of our own";
  if (o.io.empty()) {
    rows = check_against_references(model, o.layer, checkpoint, type, runtime, o.prefix);
  } else {
    const LayerIo io = read_layer_io(o.io, model.hidden);
    rows = check_against_io(model, o.layer, checkpoint, io, type, runtime, o.prefix);
    against = fmt::format("{} sequences of {} tokens", io.batch, io.seq);
  }
  fmt::print("{}\n", wrapped_lines(fmt::format(
                         "{} ({}), layer {} ({}), {} on {}; {}\n"
                         "error of what the layer adds, relative; limits {:.0e}, worst token {:.0e}",
                         model.name, model.model_type, o.layer, model.layer(o.layer).name, o.dtype, runtime.device().id,
                         against, rows[0].verdict.rel_l2_limit, rows[0].verdict.worst_row_limit)));
  fmt::print("  {:<26} {:>11} {:>12}\n", "", "relative L2", "worst token");
  bool ok = true;
  for (const LayerCheckRow& r : rows) {
    fmt::print("  {:<26} {:>11.2e} {:>12.2e} {:>6}\n", r.mode, r.verdict.rel_l2, r.verdict.worst_row,
               r.verdict.ok ? "agrees" : "WRONG");
    if (!r.verdict.ok) fmt::print("{}", wrapped_lines("    " + r.verdict.why));
    ok &= r.verdict.ok;
  }
  return ok ? 0 : 1;
}

int check_ops(const Options& o) {
  Runtime runtime(find_device(o.device, o.threads));
  bool ok = true;
  // A name, or one case: "linear m=1 n=64 ...".
  const bool one_case = o.op.find(' ') != std::string::npos;
  const std::string wanted = o.op.substr(0, o.op.find(' '));
  for (const OpDef* op : all_ops()) {
    if (!wanted.empty() && op != &find_op(wanted)) continue;
    const std::vector<OpCase> cases = one_case ? std::vector{OpCase::parse(o.op)} : op->test_cases();
    for (const OpCase& c : cases) op->tensors(c);  // an impossible one is refused before anything runs
    ReferenceCache references;
    for (const Variant* v : op->variants()) {
      if (v->target != runtime.device().target) continue;
      int passed = 0, refused = 0, wrong = 0;
      std::string why;
      double worst = 0;
      for (const OpCase& c : cases) {
        const Support s = support(*op, *v, c, runtime.device());
        if (!s) {
          ++refused;
          why = s.why;
          continue;
        }
        const CheckResult r = check_every_shape(*op, *v, c, runtime, 3, &references);
        for (const OutputError& e : r.errors) worst = std::max(worst, e.rel_l2 / e.limit.rel_l2);
        r.ok ? ++passed : ++wrong;
        if (!r.ok) fmt::print("{}", wrapped_lines("  " + r.problems.front()));
      }
      fmt::print("{}",
                 hanging_line(fmt::format("{:<15} {:<18} ", op->name, v->name),
                              fmt::format("{:>3} right, {} wrong, {} refused; largest error {:.0f} % of its limit{}",
                                          passed, wrong, refused, 100 * worst, why.empty() ? "" : " (" + why + ")")));
      std::fflush(stdout);
      ok &= wrong == 0;
    }
  }
  return ok ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  auto* c =
      app.add_subcommand("check", "does a layer compute what the real model computes? does every variant of an op?");
  auto o = std::make_shared<Options>();
  c->add_option("-m,--model", o->model, "model name, or path to a config.json or its folder");
  c->add_option("--architecture", o->architecture, "a class of the model's family instead of what its config says");
  c->add_option("--weights", o->weights, "safetensors file(s), an index file, a folder, or a GGUF file");
  c->add_option("--prefix", o->prefix, "what stands before 'layers.N.' in its tensors' names (default: found there)");
  c->add_option("--layer", o->layer, "number of the layer, from 0");
  c->add_option("--io", o->io,
                "safetensors file with 'input' and 'output', f32 [batch, seq, hidden]; without: values of our own, "
                "against the references");
  c->add_option("--dtype", o->dtype, "f32 or bf16");
  c->add_option("--device", o->device, "cpu or cuda:N (default: cuda:0 where it can be used, else cpu)");
  c->add_option("--op", o->op,
                "check the variants of this op on its own test cases, or on one case given as text (without: all ops)");
  c->add_option("--threads", o->threads, "number of CPU threads")->check(CLI::Range(1, 4096));
  c->callback([o, &action] {
    action = [o] {
      const bool any = !o->model.empty() || !o->weights.empty() || !o->io.empty();
      if (!any) return check_ops(*o);
      if (o->model.empty() || o->weights.empty())
        throw BadInput("check: --model and --weights belong together, and --io needs both");
      return check_model(*o);
    };
  });
}

}  // namespace layercost

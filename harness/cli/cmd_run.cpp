// layercost run: measures and writes a result file.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/cli/commands.h"
#include "harness/cli/keeper.h"
#include "harness/cli/numbers.h"
#include "harness/cli/points.h"
#include "harness/cli/price_record.h"
#include "harness/cli/progress.h"
#include "harness/cli/stopping.h"
#include "harness/cli/streams.h"
#include "harness/cli/terminal.h"
#include "harness/measure/environment.h"
#include "harness/measure/resume.h"
#include "harness/plan/expert_parallel.h"
#include "harness/plan/tensor_parallel.h"
#include "harness/report/text.h"
#include "harness/result/result_io.h"
#include "harness/spec/hardware_spec.h"
#include "harness/spec/part_name.h"
#include "kernels/contract/registry.h"
#include "kernels/core/team.h"
#include "kernels/runtime/topology.h"
#include "layercost_commit.h"

namespace layercost {
namespace {

struct Options {
  PointOptions points;
  PriceOptions price;
  std::string device, depths, out, resume, pin_from;
  std::vector<std::string> pins;
  std::optional<std::int64_t> rounds;
  std::optional<double> cell_s;
  int threads = 0;
  bool no_head = false, force = false, quiet = false, dry_run = false;
  ShowOptions show;
};

std::optional<NominalRecord> nominal_record(const std::string& device_name, DType arithmetic) {
  const auto hardware = match_hardware(device_name, list_hardware(configs_dir()));
  if (!hardware) return std::nullopt;
  const HardwarePeak* peak = hardware->peak(std::string(to_string(arithmetic)));
  if (peak == nullptr) return std::nullopt;
  const HardwareFigure& read = hardware->memory_bytes_per_s;
  return NominalRecord{hardware->id,      std::string(to_string(arithmetic)),
                       peak->flops_per_s, read.value,
                       peak->source,      peak->date,
                       read.source,       read.date};
}

// "linear=onednn_packed": an op or a component, and one of its variants.
VariantPin parse_pin(const std::string& text, const RunPlan& plan) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    throw BadInput("--pin: expected OP=VARIANT, such as linear=onednn_packed, got '" + printable(text) + "'");
  VariantPin pin;
  pin.op = text.substr(0, at);
  pin.variant = text.substr(at + 1);
  std::vector<std::string> known;
  const auto add = [&](const LayerPlan& layer) {
    for (const PlannedOp& p : layer.ops) {
      known.insert(known.end(), {p.op_case.op(), p.component});
      if (pin.op == p.op_case.op() || pin.op == p.component) find_variant(find_op(p.op_case.op()), pin.variant);
    }
  };
  for (const RunPoint& point : plan.points) {
    const ModelSpec& model = plan.models[point.model];
    const StepShape shape = step_shape(point.scenario, model.experts.has_value());
    for (const LayerKind& kind : model.kinds) add(plan_layer(model, kind, shape));
    add(plan_head(model, point.scenario.batch, shape));
  }
  if (std::find(known.begin(), known.end(), pin.op) == known.end()) {
    const std::string near = nearest_spelling(pin.op, known);
    throw BadInput(fmt::format("--pin: no layer of this run has an op or a component '{}'{}", printable(pin.op),
                               near.empty() ? "" : "; nearest: " + near));
  }
  return pin;
}

// The first layer of each kind, before anything is written: a checkpoint of another model is an error now.
void expect_readable(const RunPlan& plan) {
  const ModelSpec& m = plan.models.front();
  for (std::size_t part = 0; part < m.kinds.size() + (plan.with_head ? 1 : 0); ++part)
    part_weights(plan, plan_part(m, part, plan.points.front().scenario), part, 1, 0, 0);
}

void pin(ResultFile& result) {
  EnvironmentRecord& e = result.environment;
  const Pinning pinning = pin_threads(e.threads);
  pin_team(pinning.cpus);
  e.threads_pinned = pinning.pinned;
  if (!e.topology) return;
  e.topology->thread_cpus.assign(pinning.cpus.begin(), pinning.cpus.end());
  if (const auto warning = numa_warning(*e.topology)) result.warnings.push_back(*warning);
}

void warn_of_exchange(const RunPlan& plan, ResultFile& result) {
  for (const RunPoint& point : plan.points) {
    const ModelSpec& m = plan.models[point.model];
    const Scenario& s = point.scenario;
    const StepShape shape = step_shape(s, m.experts.has_value());
    if (m.ranks > 1)
      result.warnings.push_back(
          {"collectives_left_out",
           fmt::format("{} {} batch {}: one of {} ranks; the {} that it sends in a step, and as much that it receives, "
                       "are in no time",
                       m.name, to_string(s.phase), s.batch, m.ranks, collectives_text(collectives_of(m, shape)))});
    if (m.devices == 1) continue;
    result.warnings.push_back(
        {"exchange_left_out",
         fmt::format("{} {} batch {}: one of {} devices; the {:.3g} MB that it sends in a step, and as much that it "
                     "receives, are in no time",
                     m.name, to_string(s.phase), s.batch, m.devices, exchange_bytes(m, shape) / 1e6)});
  }
}

// --dry-run: what would be measured, and what it takes at least.
int show_plan(const RunPlan& plan, const ResultFile& result) {
  std::int64_t cells = 0;
  for (const PointRecord& point : result.points) {
    std::string parts;
    for (const PartRecord& part : point.parts) {
      if (part.kind == kHeadPart && !plan.with_head) continue;
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", part.count, part.kind);
      cells += plan.policy.rounds - std::min(plan.policy.rounds, static_cast<std::int64_t>(part.rounds.size()));
    }
    show(wrapped_lines(fmt::format("{}: {}\n", plain(to_text(point)), plain(parts, 200))));
    if (!point.memory.fits())
      show(wrapped_lines(fmt::format("  the whole model needs {}, there are {}: only its layers are measured\n",
                                     gigabytes_text(point.memory.required_bytes()),
                                     gigabytes_text(point.memory.device_bytes))));
  }
  show(wrapped_lines(fmt::format(
      "\n{} points in {} rounds: {} cells of {} s, {} of samples; probes, checks and choosing among variants "
      "come on top\nnothing was measured and no file written: --dry-run\n",
      result.points.size(), plan.policy.rounds, cells, digits(plan.policy.cell_s),
      duration_text(static_cast<double>(cells) * plan.policy.cell_s))));
  return 0;
}

int measure(const Options& o, Keeper& keeper, Stopping& stopping) {
  const auto configs = configs_dir();
  RunPlan plan;
  Points points = make_points(o.points, configs);
  plan.models = points.models;
  plan.points = points.points;
  plan.stored = points.stored;
  plan.with_head = !o.no_head;
  // Before an earlier result is read: from here on no other run adds to it.
  if (o.out != "-" && !o.dry_run) keeper.set_saver({o.out, o.resume, o.force, utc_now("layercost-{:%Y%m%dT%H%M%SZ}")});
  // What is not said anew is as it was.
  std::optional<ResultFile> earlier;
  if (!o.resume.empty()) earlier = read_result(o.resume);
  if (earlier && earlier->policy) {
    plan.policy.rounds = earlier->policy->rounds;
    plan.policy.cell_s = earlier->policy->cell_s;
    plan.with_head = plan.with_head && earlier->policy->head;
    plan.depths = earlier->policy->depths;
  }
  if (o.rounds) plan.policy.rounds = *o.rounds;
  if (o.cell_s) plan.policy.cell_s = *o.cell_s;
  if (!o.depths.empty()) plan.depths = parse_list("--depth", o.depths, 4096);

  if (plan.stored) expect_readable(plan);
  for (const std::string& text : o.pins) plan.pins.push_back(parse_pin(text, plan));
  Runtime runtime(find_device(o.device, o.threads));
  ResultFile result;
  result.program_version = LAYERCOST_VERSION;
  result.commit = LAYERCOST_COMMIT;
  result.commit_dirty = LAYERCOST_DIRTY;
  result.command = command_words();
  result.started_at = utc_now();
  result.suite = points.suite;
  result.environment = describe_environment(runtime.device());
  if (runtime.on_host()) pin(result);
  result.pairs = points.pairs;
  if (!plan.points.empty())
    result.nominal = nominal_record(result.environment.device_name, plan.points.front().scenario.activation_type);
  result.price = price_record(o.price, result.environment.device_name, configs);
  for (const ModelSpec& m : plan.models)
    for (const std::string& note : m.notes) result.warnings.push_back({"model_note", m.name + ": " + note});
  warn_of_exchange(plan, result);
  if (!o.pin_from.empty()) take_pins(plan, runtime.device(), read_result(o.pin_from), o.pin_from, result);
  plan_result(plan, runtime.device(), result);
  if (earlier) result = resume(plan, runtime.device(), result, std::move(*earlier), o.resume);

  if (o.dry_run) return show_plan(plan, result);

  result.finished_at = utc_now();
  keeper.begin(result);  // a path that cannot be written is an error now, not after an hour

  using Amount = Progress::Amount;
  Progress progress(o.quiet ? Amount::nothing : o.show.verbose ? Amount::everything : Amount::some);
  RunEvents events;
  events.progress = [&](const std::string& what, double done) {
    if (!stopping.asked()) progress.show(what, done);
  };
  events.changed = [&] {
    if (!stopping.asked()) progress.first_numbers(result);
    keeper.changed(result);
  };
  bool stopped = false;
  try {
    measure_all(plan, runtime, result, events);
  } catch (const Interrupted&) {
    stopped = true;
  }
  if (!stopping.claim()) Stopping::wait_for_the_end();
  progress.end();
  return keeper.conclude(std::move(result), stopped);
}

int run(const Options& o) {
  check_show_options(o.show, {});
  Keeper keeper(o.show, o.quiet);
  Stopping stopping([&] { return close_output(keeper.give_up()); });
  try {
    return measure(o, keeper, stopping);
  } catch (const Interrupted&) {  // before there was a result
    if (!stopping.claim()) Stopping::wait_for_the_end();
    return keeper.give_up();
  }
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("run", "measure: what a token costs on this machine");
  auto o = std::make_shared<Options>();
  add_point_options(*c, o->points);
  add_checkpoint_options(*c, o->points);
  c->add_option("--device", o->device, "cpu or cuda:N (default: cuda:0 where it can be used, else cpu)");
  add_price_options(*c, o->price, false);
  c->add_option("--rounds", o->rounds, "interleaved rounds (default 3; 10 for a headline)")->check(CLI::Range(1, 1000));
  c->add_option("--seconds", o->cell_s, "time for the samples of one layer at one point in one round (default 0.6)")
      ->check(number_in(0.01, 3600));
  c->add_option("--depth", o->depths, "also measure stacks of these heights, e.g. 1,2,4,8");
  c->add_flag("--no-head", o->no_head, "layers only: no final norm, LM head and composition");
  c->add_option("--threads", o->threads, "number of CPU threads (default: all this process may use)")
      ->check(CLI::Range(1, 4096));
  c->add_option("--pin", o->pins, "OP=VARIANT: this variant instead of the fastest, e.g. linear=onednn_packed")
      ->take_all();
  c->add_option("--pin-from", o->pin_from, "the variants that an earlier result chose");
  c->add_option("-o,--output", o->out,
                "result file (default: layercost-<time>.json here); -: none, the result goes to standard output");
  c->add_flag("--force", o->force, "replace the file that -o names, once the new result is complete");
  c->add_option("--resume", o->resume, "go on with a run that was stopped, and measure again what failed");
  add_show_options(*c, o->show);
  c->add_flag("-q,--quiet", o->quiet, "no progress and no remarks: standard error has errors alone");
  c->add_flag("--dry-run", o->dry_run, "say what would be measured, and measure nothing");
  c->callback([o, &action] {
    if (o->quiet && o->show.verbose) throw BadInput("-q and -v: give one of them");
    action = [o] { return run(*o); };
  });
}

}  // namespace layercost

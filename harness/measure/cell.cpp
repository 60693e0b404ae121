// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/cell.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "harness/measure/environment.h"
#include "harness/measure/layer_check.h"
#include "harness/measure/op_records.h"
#include "harness/measure/routing_feed.h"
#include "harness/measure/verify.h"
#include "harness/result/roofline.h"
#include "harness/result/stats.h"
#include "kernels/contract/registry.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {

class CellMeasurement {
 public:
  CellMeasurement(RunContext& run, const Cell& cell, PartRecord& record)
      : run_(run),
        cell_(cell),
        r_(record),
        verdict_(record.verdict.value_or(Verdict{})),
        what_(fmt::format("{} {} {} b={} c={}, round {}", cell.model.name, cell.plan.kind,
                          to_string(cell.scenario.phase), cell.scenario.batch, cell.scenario.context, cell.round + 1)) {
    samples_.index = cell.round;
  }

  void run() {
    make_stack();
    if (r_.ops.empty()) choose();
    if (!check_before()) return;
    run_.tell("measuring " + what_);
    if (r_.ops.empty()) describe();
    calibrate();
    sample();
    if (!check_after()) return;
    instrument();
    record();
  }

 private:
  const Policy& policy() const { return run_.plan.policy; }
  void draw(std::size_t passes) {
    if (feed_) feed_->draw(passes);
  }

  void make_stack() {
    run_.tell("preparing " + what_);
    const auto& ops = cell_.plan.ops;
    for (std::size_t i = 0; i < ops.size(); ++i)
      fixed_.push_back(r_.ops.empty()
                           ? pinned_variant(run_.plan.pins, cell_.point, cell_.plan, ops[i], run_.runtime.device())
                           : &find_variant(find_op(ops[i].op_case.op()), r_.ops[i].variant));
    stack_ = std::make_unique<Stack>(cell_.plan, cell_.weights, cell_.size.layers, cell_.seed, run_.runtime, fixed_,
                                     cell_.chain);
    if (cell_.plan.experts())
      feed_ = std::make_unique<RoutingFeed>(cell_.scenario.routing, seed_for(policy().seed, "routing"), *stack_,
                                            run_.runtime, run_.draws);
  }

  void choose() {
    run_.tell("choosing among variants: " + what_);
    draw(1);
    const double samples_s = static_cast<double>(policy().rounds) * policy().cell_s;
    Choice choice =
        choose_variants(stack_->layers(), fixed_, run_.memory_bytes - cell_.size.need_bytes,
                        run_.runtime.on_host() ? INFINITY : policy().gpu_choice_share * samples_s, run_.runtime);
    tried_ = std::move(choice.tried);
    for (const std::string& why : choice.given_up)
      run_.result.warnings.push_back({"candidate_failed", fmt::format("{}: {}", what_, why)});
  }

  // Before any sample is taken; this is also the first warm-up pass. False: wrong.
  bool check_before() {
    run_.tell("checking " + what_);
    draw(1);
    for (std::size_t l = 0; l < stack_->size(); ++l) {
      interrupt_check();
      const bool checked = l == 0 || cell_.check_all_layers;
      if (checked && l > 0) shrink_input(stack_->layer(l), run_.runtime);
      stack_->layer(l).run();
      if (feed_) feed_->count(stack_->layer(l));
      if (checked) check_sampled(stack_->layer(l), policy().rows_checked, cell_.seed, verdict_);
      if (!verdict_.ok) return wrong(fmt::format("layer {} of the stack: {}", l, verdict_.why));
    }
    return true;
  }

  // What is the same in every round.
  void describe() {
    r_.ops = op_records(cell_.plan);
    for (std::size_t i = 0; i < r_.ops.size(); ++i) {
      const Layer& layer = stack_->layer(0);
      r_.ops[i].variant = layer.variant(i).name;
      r_.ops[i].provider = layer.variant(i).provider;
      r_.ops[i].chosen = layer.chosen(i);
      r_.ops[i].chosen_by = fixed_[i] != nullptr ? "pinned" : tried_[i].empty() ? "order" : "measured";
      r_.ops[i].tried = tried_[i];
    }
    r_.stack = StackRecord{cell_.size.layers, cell_.size.reuse_distance_bytes,
                           static_cast<double>(run_.runtime.device().last_level_cache_bytes),
                           static_cast<double>(cell_.size.layers) * cell_.plan.weight_bytes(),
                           run_.runtime.on_host() ? huge_page_fraction() : std::nullopt};
  }

  // How many passes one sample takes to be long enough.
  void calibrate() {
    draw(1);
    stack_->capture();
    const double pass_s = run_.runtime.time([&] { stack_->run(); }).device_s;
    passes_ = static_cast<std::size_t>(std::max(1.0, std::ceil(1.2 * policy().section_min_s / pass_s)));
    if (passes_ == 1) return;
    draw(passes_);
    stack_->capture(passes_, feed_ ? feed_->drawn() : nullptr);
  }

  // While there is time for it: as much in all as the cell has for its samples, at least a second.
  Roofs believable(const Roofs& probe, const Sample& s) {
    constexpr double kLeast_s = 1;  // a few probes, however short the cell
    if (probing_again_s_ >= std::max(policy().cell_s, kLeast_s)) return probe;
    const double begin = now_s();
    const Roofs roofs = believable_roofs(r_.ops, s, probe, [&] {
      interrupt_check();
      ++run_.probes_again;
      return run_.roofs.measure_anew(arithmetics_);
    });
    probing_again_s_ += now_s() - begin;
    return roofs;
  }

  // Whether most samples so far are impossible, whatever was probed beside them.
  bool is_contradicted() const {
    PartRecord now;
    now.ops = r_.ops;
    now.rounds = {samples_};
    const auto bounds = bounds_of(now);
    return bounds && bounds->impossible;
  }

  // The time of the cell; as much again while its samples contradict their probes.
  bool wants_more(double elapsed_s) const {
    const auto n = static_cast<std::int64_t>(samples_.samples.size());
    if (n < policy().min_samples) return true;
    if (n >= policy().max_samples || elapsed_s >= 2 * policy().cell_s) return false;
    return elapsed_s < policy().cell_s || is_contradicted();
  }

  void sample() {
    NeighbourMeter neighbours;
    neighbours.start();
    arithmetics_ = arithmetics_of(r_.ops);
    Roofs before = run_.roofs.measure(arithmetics_);
    const double begin = now_s();
    if (run_.gpu != nullptr) run_.gpu->start();
    while (wants_more(now_s() - begin - probing_again_s_)) {
      interrupt_check();
      draw(passes_);
      for (std::size_t l = 0; l < stack_->size(); ++l)
        run_.runtime.fill_bytes(stack_->layer(l).buffer(BufferRole::output), kNaNByte);
      const SectionTime timed = run_.runtime.time([&] { stack_->run(); });
      Sample s;
      s.section_s = timed.device_s;
      s.passes = static_cast<std::int64_t>(passes_);
      s.time_s = timed.device_s / static_cast<double>(passes_ * stack_->size());
      if (feed_) s.distinct_experts = feed_->distinct();
      s.roofs_after = believable(run_.roofs.measure(arithmetics_), s);
      s.roofs_before = believable(before, s);
      before = s.roofs_after;
      if (!run_.runtime.on_host()) {
        s.host_section_s = timed.host_s;
      }
      samples_.samples.push_back(s);
      // A pass that alone outlasts the cell's time several times over: one sample a round must do.
      if (s.section_s > 4 * policy().cell_s) break;
    }
    if (run_.gpu != nullptr) samples_.conditions = run_.gpu->stop();
    if (run_.runtime.on_host()) samples_.neighbour_cpus = neighbours.busy_cpus();
  }

  // The last layer's buffers still hold the last timed pass.
  bool check_after() {
    check_sampled(stack_->last(), policy().rows_checked, cell_.seed, verdict_);
    return verdict_.ok || wrong("on the last timed pass: " + verdict_.why);
  }

  // Explains where the time goes, never the headline.
  void instrument() {
    std::vector<std::vector<double>> times(r_.ops.size());
    const double begin = now_s();
    for (int pass = 0; pass < 5 && (pass == 0 || now_s() - begin < policy().cell_s / 4); ++pass) {
      draw(1);
      for (std::size_t l = 0; l < stack_->size(); ++l) {
        std::vector<double> seconds;
        stack_->layer(l).run_timed(seconds);
        for (std::size_t i = 0; i < seconds.size(); ++i) times[i].push_back(seconds[i]);
      }
    }
    for (std::size_t i = 0; i < r_.ops.size(); ++i) {
      const double t = median(times[i]);
      // Over rounds: the least disturbed one.
      r_.ops[i].time_s = std::min(r_.ops[i].time_s.value_or(t), t);
    }
  }

  void record() {
    if (feed_) r_.routing = feed_->record(r_.routing);
    if (cell_.size.layers != r_.stack->layers) samples_.layers = cell_.size.layers;  // resumed with other memory
    r_.verdict = verdict_;
    r_.rounds.push_back(std::move(samples_));
    r_.outcome = Outcome::measured;
    r_.why.clear();
  }

  bool wrong(std::string why) {
    r_.outcome = Outcome::wrong;
    r_.verdict = verdict_;
    r_.why = std::move(why);
    r_.rounds.clear();
    for (OpRecord& op : r_.ops) op.time_s.reset();
    return false;
  }

  RunContext& run_;
  const Cell& cell_;
  PartRecord& r_;
  Verdict verdict_;
  std::string what_;
  std::vector<const Variant*> fixed_;
  std::unique_ptr<Stack> stack_;
  std::unique_ptr<RoutingFeed> feed_;  // of a kind with experts
  std::vector<std::vector<TriedVariant>> tried_;
  std::size_t passes_ = 1;
  std::set<std::string> arithmetics_;  // of the ops, beside the point's
  double probing_again_s_ = 0;
  Round samples_;
};

}  // namespace

void measure_cell(RunContext& run, const Cell& cell, PartRecord& record) { CellMeasurement(run, cell, record).run(); }

void check_sampled(Layer& layer, std::int64_t rows, std::uint64_t seed, Verdict& verdict) {
  const LayerPlan& plan = layer.plan();
  const ExpertChoice experts = plan.experts().value_or(ExpertChoice{});
  const OwnedTensor ids = experts.experts > 0 ? layer.read(plan.chosen_ids()->role) : OwnedTensor();
  check_layer(layer, sample_rows(plan.shape, ids.view().as<std::int32_t>(), experts.top_k, experts.experts, rows, seed),
              verdict);
}

}  // namespace layercost

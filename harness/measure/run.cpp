// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/measure/environment.h"
#include "harness/measure/gpu_monitor.h"
#include "harness/measure/layer.h"
#include "harness/measure/layer_check.h"
#include "harness/measure/roofs.h"
#include "harness/measure/verify.h"
#include "harness/result/sample_labels.h"
#include "harness/result/stats.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace layercost {
namespace {

// One kind of layer of one model (or its head), with the points at which it is measured.
struct Part {
  std::size_t model = 0;
  std::optional<LayerKind> kind;  // none: the head
  std::size_t index = 0;          // among PointRecord::parts
};

WorkFacts expected_facts(const ModelSpec& m, const Scenario& s, const StepShape& shape) {
  WorkFacts f;
  if (m.moe) f.distinct_experts = expected_distinct_experts(s.routing, m.moe->experts, m.moe->top_k, shape.tokens());
  return f;
}

LayerPlan plan_of(const ModelSpec& m, const Part& part, const Scenario& s) {
  const StepShape shape = step_shape(s, m.moe.has_value());
  return part.kind ? plan_layer(m, *part.kind, shape) : plan_head(m, s.batch, shape);
}

// The work of each op; what depends on the distinct experts is split off. The first and the last op carry the layer's
// own input and output, which must cross memory; everything between may stay in cache.
std::vector<OpRecord> op_records(const LayerPlan& plan) {
  std::vector<OpRecord> out;
  for (const PlannedOp& p : plan.ops) {
    const OpDef& op = find_op(p.op_case.op());
    OpRecord r;
    r.component = p.component;
    r.case_text = p.op_case.text();
    const Work one = op.work(p.op_case, {1.0}), two = op.work(p.op_case, {2.0});
    r.flops = one.flops;
    r.bytes_per_distinct_expert = two.weight_bytes - one.weight_bytes;  // 0 for ops without experts
    r.bytes = one.weight_bytes - r.bytes_per_distinct_expert + one.kv_read_bytes + one.kv_write_bytes;
    out.push_back(std::move(r));
  }
  const auto bytes_of = [&](const std::string& name) {
    for (const BufferSpec& b : plan.buffers)
      if (b.name == name) return static_cast<double>(elements_of(b.shape)) * static_cast<double>(size_of(b.dtype));
    return 0.0;
  };
  out.front().bytes += bytes_of("input");
  out.back().bytes += bytes_of("output");
  return out;
}

// R layers with weights and caches of their own, run one after the other, the output of one feeding the next.
class Stack {
 public:
  Stack(const LayerPlan& plan, const ModelSpec& model, const std::vector<WeightSet>& weights, std::int64_t layers,
        std::uint64_t seed, Runtime& runtime, const std::vector<const Variant*>& variants = {})
      : runtime_(runtime), plan_(plan) {
    const BufferSet shared = shared_buffers(plan, model.rope, runtime);
    const auto find = [&](const char* name) { return shared.at(name); };
    const auto start = find("input"), a = find("output");
    const auto b = std::make_shared<const OwnedTensor>(runtime.tensor(a->view().dtype, a->view().shape));
    fill_normal(runtime, start->view(), seed_for(seed, "input"));
    for (const BufferSpec& buffer : plan.buffers)
      if (buffer.name == "forced_ids") {
        id_count_ = elements_of(buffer.shape);
        ids_ = runtime.tensor(DType::i32, {layers, id_count_});
      }
    for (std::int64_t l = 0; l < layers; ++l) {
      interrupt_check();
      BufferSet buffers = shared;
      buffers.merge(own_buffers(plan, seed, l, runtime));
      if (id_count_ > 0) {  // one after the other, so that one copy sets those of all layers
        const Tensor& own = buffers.at("forced_ids")->view();
        auto* p = reinterpret_cast<std::byte*>(ids_.view().as<std::int32_t>() + l * id_count_);
        buffers["forced_ids"] =
            std::make_shared<const OwnedTensor>(Buffer(p, own.bytes(), nullptr), own.dtype, own.shape);
      }
      // A head ends in logits: every copy reads the same input. Layers pass on theirs.
      if (plan.kind != "head") {
        buffers["input"] = l == 0 ? start : l % 2 == 1 ? a : b;
        buffers["output"] = l % 2 == 0 ? a : b;
      }
      layers_.push_back(
          std::make_unique<Layer>(plan, weights[static_cast<std::size_t>(l)], std::move(buffers), runtime, variants));
    }
  }

  std::size_t size() const { return layers_.size(); }
  Layer& layer(std::size_t l) { return *layers_[l]; }
  bool forced() const { return plan_.shape.forced_routing && plan_.kind != "head"; }

  // The expert ids of all layers for one pass; `drawn` is in the device's memory.
  void set_ids(const Tensor& drawn, std::size_t pass) {
    const std::size_t bytes = ids_.view().bytes();
    runtime_.copy(ids_, Tensor{drawn.as<std::byte>() + pass * bytes, DType::i32, ids_.view().shape});
  }
  // As choose_variants does.
  Choice choose(const std::vector<const Variant*>& fixed, double spare_bytes, double budget_s) {
    return choose_variants(layers_, fixed, spare_bytes, budget_s, runtime_);
  }
  // From now on run() is `passes` passes in one graph (on a CPU: the same calls); the expert ids of all but the first
  // come from `drawn`, which has to stay where it is. Between graphs there is a gap, which is not the layers'. Every
  // kernel has run once before: one that is loaded while the queue is held would wait for the queue. So expert ids have
  // to be set before.
  void capture(std::size_t passes = 1, const OwnedTensor* drawn = nullptr) {
    for (auto& layer : layers_) layer->run();
    graph_ = runtime_.capture([this, passes, drawn] {
      for (std::size_t pass = 0; pass < passes; ++pass) {
        if (pass > 0 && drawn != nullptr) set_ids(drawn->view(), pass);
        for (auto& layer : layers_) layer->run();
      }
    });
  }
  void run() { graph_->launch(); }

 private:
  Runtime& runtime_;
  LayerPlan plan_;
  OwnedTensor ids_;
  std::int64_t id_count_ = 0;
  std::unique_ptr<Graph> graph_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

class Measurement {
 public:
  Measurement(const RunPlan& plan, Runtime& runtime, ResultFile& result, const RunEvents& events)
      : plan_(plan), runtime_(runtime), result_(result), events_(events) {}

  void run() {
    if (plan_.points.empty()) return;
    const DType probe_type = plan_.points.front().scenario.weight_type;
    tell("probing the machine's limits", 0);
    roofs_.emplace(probe_type, runtime_, plan_.policy.gpu_probe_side);
    // Read after the probe's buffers were touched: they are no longer available.
    memory_ = static_cast<double>(runtime_.available_bytes()) * plan_.policy.memory_fraction;
    if (runtime_.device().target == Target::cuda) gpu_ = std::make_unique<GpuMonitor>(runtime_.device().cuda.uuid);

    struct Recycling {
      explicit Recycling(double bytes) { set_recycling_limit(static_cast<std::size_t>(bytes)); }
      ~Recycling() { set_recycling_limit(0); }
    } recycling(memory_);

    std::vector<Part> parts;
    for (std::size_t m = 0; m < plan_.models.size(); ++m) {
      std::size_t index = 0;
      for (const auto& [kind, count] : kinds_of(plan_.models[m])) parts.push_back({m, kind, index++});
      parts.push_back({m, std::nullopt, index});
    }
    total_cells_ = 0;
    for (std::int64_t round = 0; round < plan_.policy.rounds; ++round)
      for (const Part& part : parts)
        for (std::size_t p = 0; p < plan_.points.size(); ++p) total_cells_ += wanted(part, p, round);

    for (std::int64_t round = 0; round < plan_.policy.rounds; ++round) {
      roofs_->start_round();
      for (std::size_t i = 0; i < parts.size(); ++i)
        measure_part(parts[(i + static_cast<std::size_t>(round)) % parts.size()], round);
    }
    for (std::size_t p = 0; p < plan_.points.size() && !plan_.depths.empty(); ++p) measure_depths(p);
    label_from_samples(result_);
  }

 private:
  void tell(const std::string& what, double done) const {
    if (events_.progress) events_.progress(what, done);
  }
  PartRecord& record(const Part& part, std::size_t point) { return result_.points[point].parts[part.index]; }

  bool wanted(const Part& part, std::size_t point, std::int64_t round) {
    if (plan_.points[point].model != part.model || (!part.kind && !plan_.with_head)) return false;
    const PartRecord& r = record(part, point);
    if (r.outcome != Outcome::measured && r.outcome != Outcome::skipped) return false;
    return static_cast<std::int64_t>(r.rounds.size()) <= round;
  }

  void measure_part(const Part& part, std::int64_t round) {
    const ModelSpec& model = plan_.models[part.model];
    std::vector<std::size_t> points;
    for (std::size_t p = 0; p < plan_.points.size(); ++p)
      if (wanted(part, p, round)) points.push_back(p);
    if (points.empty()) return;
    std::rotate(points.begin(),
                points.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(round) % points.size()),
                points.end());

    std::int64_t most = 0;
    std::size_t tallest = 0;  // the point whose stack has all the layers
    std::vector<std::pair<std::size_t, StackSize>> sizes;
    for (std::size_t p : points) {
      const Scenario& s = plan_.points[p].scenario;
      const LayerPlan plan = plan_of(model, part, s);
      const StackSize size = stack_size(plan, expected_facts(model, s, plan.shape),
                                        static_cast<double>(runtime_.device().last_level_cache_bytes), memory_);
      if (size.need_bytes > memory_) {
        PartRecord& r = record(part, p);
        r.outcome = Outcome::out_of_memory;
        r.need_bytes = static_cast<std::uint64_t>(size.need_bytes);
        r.have_bytes = static_cast<std::uint64_t>(memory_);
        r.why = fmt::format("one {} needs {:.1f} GB here, {:.1f} GB are at hand", part.kind ? "layer" : "head",
                            size.need_bytes / 1e9, memory_ / 1e9);
        changed();
        continue;
      }
      if (size.layers > most) {
        most = size.layers;
        tallest = p;
      }
      sizes.emplace_back(p, size);
    }
    if (sizes.empty()) return;

    const LayerPlan any = plan_of(model, part, plan_.points[sizes.front().first].scenario);
    const std::uint64_t seed =
        seed_for(plan_.policy.seed, model.name + "/" + any.kind, static_cast<std::uint64_t>(round));
    std::vector<WeightSet> weights;
    for (std::int64_t l = 0; l < most; ++l) weights.push_back(synthetic_weights(any, seed, l));
    for (const auto& [p, size] : sizes) {
      PartRecord& r = record(part, p);
      try {
        if (!copy_same_head(part, p, round, r))
          measure_cell(part, p, round, size, weights, seed, round == 0 && p == tallest, r);
      } catch (const Interrupted&) {
        throw;
      } catch (const DeviceLost& e) {
        r.outcome = Outcome::failed;
        r.why = e.what();
        throw;
      } catch (const OutOfMemory& e) {
        r.outcome = Outcome::failed;
        r.why = std::string("ran out of memory unforeseen: ") + e.what();
      } catch (const std::bad_alloc&) {
        r.outcome = Outcome::failed;
        r.why = "ran out of memory unforeseen";
      } catch (const BadCase& e) {
        r.outcome = Outcome::unsupported;
        r.why = e.what();
      } catch (const std::exception& e) {
        r.outcome = Outcome::failed;
        r.why = e.what();
      }
      ++cells_done_;
      changed();
    }
  }

  // Prefill and decode of the same batch end in the same head: what was measured for one point of this round stands for
  // the other.
  bool copy_same_head(const Part& part, std::size_t point, std::int64_t round, PartRecord& r) {
    if (part.kind) return false;
    const Scenario& s = plan_.points[point].scenario;
    for (std::size_t p = 0; p < plan_.points.size(); ++p) {
      const Scenario& o = plan_.points[p].scenario;
      if (p == point || plan_.points[p].model != part.model || o.batch != s.batch || o.weight_type != s.weight_type)
        continue;
      const PartRecord& other = record(part, p);
      if (other.outcome != Outcome::measured || static_cast<std::int64_t>(other.rounds.size()) != round + 1) continue;
      r = other;
      return true;
    }
    return false;
  }

  void measure_cell(const Part& part, std::size_t point, std::int64_t round, const StackSize& size,
                    const std::vector<WeightSet>& weights, std::uint64_t seed, bool first_of_part, PartRecord& r) {
    const ModelSpec& model = plan_.models[part.model];
    const Scenario& scenario = plan_.points[point].scenario;
    const LayerPlan plan = plan_of(model, part, scenario);
    const std::string what = fmt::format("{} {} {} b={} c={}, round {}", model.name, plan.kind,
                                         to_string(scenario.phase), scenario.batch, scenario.context, round + 1);
    tell("preparing " + what, done());
    std::vector<const Variant*> fixed;
    for (std::size_t i = 0; i < plan.ops.size(); ++i)
      fixed.push_back(r.ops.empty() ? pinned_variant(plan_.pins, model, scenario, plan, plan.ops[i], runtime_.device())
                                    : &find_variant(find_op(plan.ops[i].op_case.op()), r.ops[i].variant));
    Stack stack(plan, model, weights, size.layers, seed, runtime_, fixed);

    const bool moe = model.moe && part.kind && part.kind->is_moe;
    const std::int64_t tokens = plan.shape.tokens(), top_k = moe ? model.moe->top_k : 0;
    std::optional<RoutingGenerator> generator;
    std::optional<RoutingTally> tally;
    const std::uint64_t routing_seed = seed_for(plan_.policy.seed, "routing");
    if (moe) {
      tally.emplace(model.moe->experts, top_k);
      if (stack.forced()) generator.emplace(scenario.routing, routing_seed, model.moe->experts, top_k);
    }
    // ids [pass][layer][tokens * top_k], fresh for every section
    const auto id_count = static_cast<std::size_t>(tokens * top_k);
    std::vector<std::int32_t> ids;
    OwnedTensor drawn(DType::i32, {0});
    double distinct = 0;
    const auto draw = [&](std::size_t passes) {
      if (!generator) return;
      ids.resize(passes * stack.size() * id_count);
      distinct = 0;
      for (std::size_t i = 0; i < passes * stack.size(); ++i) {
        generator->draw(draws_++, tokens, ids.data() + i * id_count);
        distinct += static_cast<double>(tally->add(ids.data() + i * id_count, tokens));
      }
      distinct /= static_cast<double>(passes * stack.size());
      const Tensor host{ids.data(), DType::i32, {static_cast<std::int64_t>(ids.size())}};
      if (drawn.view().bytes() != host.bytes()) drawn = runtime_.tensor(DType::i32, host.shape);
      runtime_.upload(drawn, host);
      stack.set_ids(drawn, 0);
    };

    std::vector<std::vector<TriedVariant>> tried;
    if (r.ops.empty()) {
      tell("choosing among variants: " + what, done());
      draw(1);
      const double samples_s = static_cast<double>(plan_.policy.rounds) * plan_.policy.cell_s;
      Choice choice = stack.choose(fixed, memory_ - size.need_bytes,
                                   runtime_.on_host() ? INFINITY : plan_.policy.gpu_choice_share * samples_s);
      tried = std::move(choice.tried);
      for (const std::string& why : choice.given_up)
        result_.warnings.push_back({"candidate_failed", fmt::format("{}: {}", what, why)});
    }
    // Checked before any sample is taken; this is also the first warm-up pass.
    tell("checking " + what, done());
    draw(1);
    Verdict verdict = r.verdict.value_or(Verdict{});
    const auto rows_of = [&](const Layer& layer) {
      const OwnedTensor chosen = moe ? layer.read("ids") : OwnedTensor();
      return sample_rows(plan.shape, chosen.view().as<std::int32_t>(), top_k, moe ? model.moe->experts : 0,
                         plan_.policy.rows_checked, seed);
    };
    for (std::size_t l = 0; l < stack.size(); ++l) {
      interrupt_check();
      stack.layer(l).run();
      if (moe && !generator)
        distinct = static_cast<double>(tally->add(stack.layer(l).read("ids").view().as<std::int32_t>(), tokens));
      // The layers' packed weights are shared by the points of a part: all of them once, then the first one each time.
      if (l == 0 || first_of_part) check_layer(stack.layer(l), rows_of(stack.layer(l)), verdict);
      if (!verdict.ok) return fail(r, verdict, fmt::format("layer {} of the stack: {}", l, verdict.why));
    }
    if (moe && !generator) distinct = tally->mean_distinct();

    tell("measuring " + what, done());
    if (r.ops.empty()) {
      r.ops = op_records(plan);
      for (std::size_t i = 0; i < r.ops.size(); ++i) {
        r.ops[i].variant = stack.layer(0).variant(i).name;
        r.ops[i].provider = stack.layer(0).variant(i).provider;
        r.ops[i].chosen = stack.layer(0).chosen(i);
        r.ops[i].chosen_by = fixed[i] != nullptr ? "pinned" : tried[i].empty() ? "order" : "measured";
        r.ops[i].tried = tried[i];
      }
      r.stack = StackRecord{size.layers, size.reuse_distance_bytes,
                            static_cast<double>(runtime_.device().last_level_cache_bytes),
                            static_cast<double>(size.layers) * plan.weight_bytes(),
                            runtime_.on_host() ? huge_page_fraction() : std::nullopt};
    }
    draw(1);
    stack.capture();
    const double pass_s = runtime_.time([&] { stack.run(); }).device_s;
    const auto passes = static_cast<std::size_t>(std::max(1.0, std::ceil(1.2 * plan_.policy.section_min_s / pass_s)));
    if (passes > 1) {
      draw(passes);
      stack.capture(passes, generator ? &drawn : nullptr);
    }

    NeighbourMeter neighbours;
    neighbours.start();
    Round samples;
    samples.index = round;
    Roofs before = roofs_->measure();
    const double cell_begin = now_s();
    bool short_section = false, gap = false;
    if (gpu_) gpu_->start();
    const auto n = [&] { return static_cast<std::int64_t>(samples.samples.size()); };
    while (n() < plan_.policy.min_samples ||
           (n() < plan_.policy.max_samples && now_s() - cell_begin < plan_.policy.cell_s)) {
      interrupt_check();
      draw(passes);
      for (std::size_t l = 0; l < stack.size(); ++l) runtime_.fill_bytes(stack.layer(l).buffer("output"), kNaNByte);
      const SectionTime timed = runtime_.time([&] { stack.run(); });
      const double section = timed.device_s;
      const Roofs after = roofs_->measure();
      Sample s;
      s.section_s = section;
      s.passes = static_cast<std::int64_t>(passes);
      s.time_s = section / static_cast<double>(passes * stack.size());
      s.roofs_before = before;
      s.roofs_after = after;
      if (moe) s.distinct_experts = distinct;
      if (!runtime_.on_host()) {
        s.host_section_s = timed.host_s;
        gap |= timed.host_s > 1.05 * timed.device_s + 20e-6;  // 20 us: letting the queue go, and hearing of its end
      }
      samples.samples.push_back(s);
      before = after;
      short_section |= section < plan_.policy.section_min_s;
      // A pass that alone outlasts the cell's time several times over: one sample a round must do.
      if (section > 4 * plan_.policy.cell_s) break;
    }
    if (gpu_) samples.conditions = gpu_->stop();
    const std::optional<double> busy = runtime_.on_host() ? neighbours.busy_cpus() : std::nullopt;

    samples.neighbour_cpus = busy;

    // The last layer's buffers still hold the last timed pass.
    Layer& last = stack.layer(stack.size() - 1);
    check_layer(last, rows_of(last), verdict);
    if (!verdict.ok) return fail(r, verdict, "on the last timed pass: " + verdict.why);

    // Instrumented: explains where the time goes, never the headline.
    std::vector<std::vector<double>> op_times(r.ops.size());
    const double instrumented_begin = now_s();
    for (int pass = 0; pass < 5 && (pass == 0 || now_s() - instrumented_begin < plan_.policy.cell_s / 4); ++pass) {
      draw(1);
      for (std::size_t l = 0; l < stack.size(); ++l) {
        std::vector<double> seconds;
        stack.layer(l).run_timed(seconds);
        for (std::size_t i = 0; i < seconds.size(); ++i) op_times[i].push_back(seconds[i]);
      }
    }
    for (std::size_t i = 0; i < r.ops.size(); ++i) {
      const double t = median(op_times[i]);
      // Over rounds: the least disturbed one.
      r.ops[i].time_s = std::min(r.ops[i].time_s.value_or(t), t);
    }

    if (tally) {
      RoutingRecord routing = r.routing.value_or(RoutingRecord{});
      const auto old_draws = static_cast<double>(routing.draws), new_draws = static_cast<double>(tally->draws());
      routing.name = scenario.routing.name();
      routing.seed = routing_seed;
      routing.experts = model.moe->experts;
      routing.top_k = top_k;
      routing.distinct_experts =
          (routing.distinct_experts * old_draws + tally->mean_distinct() * new_draws) / (old_draws + new_draws);
      routing.imbalance =
          (routing.imbalance * old_draws + tally->mean_imbalance() * new_draws) / (old_draws + new_draws);
      routing.draws += tally->draws();
      routing.histogram.resize(tally->histogram().size());
      for (std::size_t e = 0; e < routing.histogram.size(); ++e) routing.histogram[e] += tally->histogram()[e];
      routing.hash = tally->hash();
      r.routing = routing;
    }
    const auto label = [&](Label l, bool on) {
      if (on && std::find(r.labels.begin(), r.labels.end(), l) == r.labels.end()) r.labels.push_back(l);
    };
    label(Label::cache_partial, !size.cold);
    label(Label::overhead_bound, short_section);
    label(Label::shared, busy && *busy > 0.1);
    label(Label::queue_gap, gap);
    if (const auto& c = samples.conditions) {
      const auto seen = [&](std::string_view reason) {
        return std::find(c->clock_reasons.begin(), c->clock_reasons.end(), reason) != c->clock_reasons.end();
      };
      label(Label::shared, c->other_processes.value_or(0) > 0);
      label(Label::power_capped, c->power_held_back ? *c->power_held_back > 0.01 : seen("power cap"));
      label(Label::thermal, c->thermal_held_back.value_or(0) > 0 || seen("thermal slowdown") ||
                                seen("hardware thermal slowdown") || seen("hardware slowdown") || seen("power brake"));
    }
    label(Label::best_load_case, moe && scenario.routing.kind == RoutingSpec::Kind::balanced);
    r.verdict = verdict;
    r.rounds.push_back(std::move(samples));
    r.outcome = Outcome::measured;
    r.why.clear();
  }

  static void fail(PartRecord& r, const Verdict& v, std::string why) {
    r.outcome = Outcome::wrong;
    r.verdict = v;
    r.why = std::move(why);
    r.rounds.clear();
    for (OpRecord& op : r.ops) op.time_s.reset();
  }

  void measure_depths(std::size_t p) {
    const RunPoint& point = plan_.points[p];
    const ModelSpec& model = plan_.models[point.model];
    const LayerKind kind = kinds_of(model).front().first;
    const LayerPlan plan = plan_layer(model, kind, step_shape(point.scenario, model.moe.has_value()));
    DepthRecord d{model.name, plan.kind, to_string(point.scenario.phase), point.scenario.batch, point.scenario.context,
                  {},         {}};
    const std::uint64_t seed = seed_for(plan_.policy.seed, model.name + "/depth");
    std::vector<WeightSet> weights;
    const std::int64_t most = *std::max_element(plan_.depths.begin(), plan_.depths.end());
    for (std::int64_t l = 0; l < most; ++l) weights.push_back(synthetic_weights(plan, seed, l));
    std::optional<RoutingGenerator> generator;
    if (plan.shape.forced_routing && kind.is_moe)
      generator.emplace(point.scenario.routing, seed_for(plan_.policy.seed, "routing"), model.moe->experts,
                        model.moe->top_k);
    for (std::int64_t depth : plan_.depths) {
      const double need =
          static_cast<double>(depth) * (plan.weight_bytes() + plan.cache_bytes()) + plan.activation_bytes();
      if (need > memory_) {
        result_.warnings.push_back(
            {"depth_out_of_memory", fmt::format("{} at depth {} needs {:.1f} GB, {:.1f} GB are at hand", model.name,
                                                depth, need / 1e9, memory_ / 1e9)});
        continue;
      }
      tell(fmt::format("depth {} of {} {} b={}", depth, model.name, to_string(point.scenario.phase),
                       point.scenario.batch),
           1);
      Stack stack(plan, model, weights, depth, seed, runtime_);
      Verdict verdict;
      std::vector<double> times;
      const std::int64_t count = generator ? plan.shape.tokens() * model.moe->top_k : 0;
      std::vector<std::int32_t> ids(static_cast<std::size_t>(depth * count));
      const OwnedTensor drawn = runtime_.tensor(DType::i32, {depth, count});
      const auto draw = [&] {
        if (!generator) return;
        for (std::int64_t l = 0; l < depth; ++l) generator->draw(draws_++, plan.shape.tokens(), ids.data() + l * count);
        runtime_.upload(drawn, Tensor{ids.data(), DType::i32, {depth, count}});
        stack.set_ids(drawn, 0);
      };
      draw();
      stack.capture();  // runs every layer
      for (int i = 0; i < 8; ++i) {
        interrupt_check();
        draw();
        // Short stacks would find their weights in the cache.
        runtime_.evict_caches();
        const double pass_s = runtime_.time([&] { stack.run(); }).device_s;
        if (i > 0) times.push_back(pass_s);
      }
      Layer& last = stack.layer(stack.size() - 1);
      const OwnedTensor chosen = kind.is_moe ? last.read("ids") : OwnedTensor();
      check_layer(last,
                  sample_rows(plan.shape, chosen.view().as<std::int32_t>(), kind.is_moe ? model.moe->top_k : 0,
                              kind.is_moe ? model.moe->experts : 0, 2, seed),
                  verdict);
      if (!verdict.ok) {
        result_.warnings.push_back({"depth_wrong", fmt::format("{} at depth {}: {}", model.name, depth, verdict.why)});
        continue;
      }
      d.depths.push_back(depth);
      d.time_s.push_back(median(times));
    }
    result_.depths.push_back(std::move(d));
    changed();
  }

  double done() const {
    return total_cells_ == 0 ? 0 : static_cast<double>(cells_done_) / static_cast<double>(total_cells_);
  }
  void changed() {
    label_from_samples(result_);
    if (events_.changed) events_.changed();
  }

  const RunPlan& plan_;
  Runtime& runtime_;
  ResultFile& result_;
  const RunEvents& events_;
  std::optional<RoofProbe> roofs_;
  std::unique_ptr<GpuMonitor> gpu_;
  double memory_ = 0;
  std::uint64_t draws_ = 0;
  std::int64_t total_cells_ = 0, cells_done_ = 0;
};

}  // namespace

void plan_result(const RunPlan& plan, const DeviceInfo& device, ResultFile& result) {
  for (const ModelSpec& m : plan.models) {
    ModelRecord r;
    r.name = m.name;
    r.id = m.id;
    r.model_type = m.model_type;
    const ParameterCount n = count_parameters(m);
    r.parameters_total = n.total;
    r.parameters_active = n.active;
    r.layers = m.layers;
    r.hidden = m.hidden;
    r.vocab = m.vocab;
    if (m.moe) {
      r.experts = m.moe->experts;
      r.top_k = m.moe->top_k;
    }
    result.models.push_back(std::move(r));
  }
  for (const RunPoint& p : plan.points) {
    const ModelSpec& m = plan.models[p.model];
    const Scenario& s = p.scenario;
    PointRecord r;
    r.model = m.name;
    r.phase = to_string(s.phase);
    r.batch = s.batch;
    r.context = s.context;
    r.tokens = step_shape(s, false).tokens();
    r.weight_type = to_string(s.weight_type);
    r.activation_type = to_string(s.activation_type);
    r.kv_type = to_string(s.kv_type);
    r.device = device.id;
    r.routing = m.moe ? s.routing.name() : std::string();
    const MemoryNeed need = memory_need(m, s, static_cast<double>(device.memory_bytes));
    r.memory = {need.weight_bytes, need.kv_bytes, need.activation_bytes, static_cast<double>(device.memory_bytes),
                need.largest_batch};
    for (const auto& [kind, count] : kinds_of(m)) {
      PartRecord part;
      part.kind = to_string(kind);
      part.count = count;
      part.why = "not reached";
      r.parts.push_back(std::move(part));
    }
    PartRecord head;
    head.kind = "head";
    head.count = 1;
    head.why = plan.with_head ? "not reached" : "not asked for";
    r.parts.push_back(std::move(head));
    result.points.push_back(std::move(r));
  }
}

void measure_all(const RunPlan& plan, Runtime& runtime, ResultFile& result, const RunEvents& events) {
  try {
    Measurement(plan, runtime, result, events).run();
  } catch (const DeviceLost& e) {
    // Nothing more can be measured in this process; what was, stays.
    result.warnings.push_back({"device_lost", e.what()});
    for (PointRecord& point : result.points)
      for (PartRecord& part : point.parts)
        if (part.outcome == Outcome::skipped) part.why = "not reached: the device was lost";
  }
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "harness/measure/cell.h"
#include "harness/measure/depths.h"
#include "harness/plan/counts.h"
#include "harness/plan/digest.h"
#include "harness/result/complete.h"
#include "harness/result/sample_labels.h"
#include "harness/spec/part_name.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "kernels/core/sha256.h"

namespace layercost {
namespace {

// One kind of layer of one model (or its head), with the points at which it is measured.
struct Part {
  std::size_t model = 0;
  const LayerKind* kind = nullptr;  // null: the head
  std::size_t index = 0;            // among PointRecord::parts
};

class Measurement {
 public:
  Measurement(const RunPlan& plan, Runtime& runtime, ResultFile& result, const RunEvents& events)
      : plan_(plan), runtime_(runtime), result_(result), events_(events) {}

  void run() {
    if (plan_.points.empty()) return;
    const DType probe_type = plan_.points.front().scenario.activation_type;
    tell("probing the machine's limits", 0);
    roofs_.emplace(probe_type, runtime_, plan_.policy.gpu_probe_side);
    for (const auto& [name, arithmetic] : further_arithmetics(probe_type)) {
      tell(fmt::format("probing the machine's limits: products in {}", name), 0);
      roofs_->add(arithmetic);
    }
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
      for (const LayerKind& kind : plan_.models[m].kinds) parts.push_back({m, &kind, index++});
      parts.push_back({m, nullptr, index});
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
    for (std::size_t p = 0; p < plan_.points.size() && !plan_.depths.empty(); ++p) {
      const auto measured = [&](const DepthRecord& d) { return same_scenario(d, result_.points[p]); };
      if (std::any_of(result_.depths.begin(), result_.depths.end(), measured)) continue;  // resumed
      RunContext context = this->context();
      result_.depths.push_back(measure_depths(context, plan_.points[p], result_.points[p]));
      changed();
    }
    label_from_samples(result_);
  }

 private:
  void tell(const std::string& what, double done) const {
    if (events_.progress) events_.progress(what, done);
  }
  RunContext context() {
    return {plan_,   runtime_,      result_,
            *roofs_, gpu_.get(),    memory_,
            draws_,  probes_again_, [this](const std::string& what) { tell(what, done()); }};
  }
  LayerPlan plan_of(const ModelSpec& m, const Part& part, const Scenario& s) const {
    LayerPlan plan = plan_part(m, part.index, s);
    plan.stored_weights = plan_.stored != nullptr;
    return plan;
  }
  // What the points multiply in, beside their activations' type.
  std::map<std::string, Arithmetic> further_arithmetics(DType own) const {
    std::map<std::string, Arithmetic> by_name;
    for (const RunPoint& point : plan_.points) {
      const ModelSpec& model = plan_.models[point.model];
      for (std::size_t i = 0; i < model.kinds.size() + (plan_.with_head ? 1 : 0); ++i)
        for (const PlannedOp& p : plan_part(model, i, point.scenario).ops)
          for (const Products& product : find_op(p.op_case.op()).work(p.op_case, {}).products)
            by_name.emplace(product.arithmetic.name(), product.arithmetic);
    }
    by_name.erase(std::string(to_string(own)));
    return by_name;
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

    std::vector<Sized> sizes;
    for (std::size_t p : points) {
      const Scenario& s = plan_.points[p].scenario;
      const LayerPlan plan = plan_of(model, part, s);
      const StackSize size =
          stack_size(plan, expected_facts(plan, s), static_cast<double>(runtime_.device().last_level_cache_bytes),
                     memory_, runtime_.on_host());
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
      sizes.push_back({p, size});
    }
    // Those of one format share their weights; each format's are gone before the next one's are made.
    while (!sizes.empty()) {
      const WeightTypes weights = plan_.points[sizes.front().point].scenario.weights;
      const auto others = std::stable_partition(sizes.begin(), sizes.end(), [&](const Sized& s) {
        return plan_.points[s.point].scenario.weights == weights;
      });
      measure_points(part, round, {sizes.begin(), others});
      sizes.erase(sizes.begin(), others);
    }
  }

  struct Sized {
    std::size_t point;
    StackSize size;
  };
  void measure_points(const Part& part, std::int64_t round, const std::vector<Sized>& points) {
    const ModelSpec& model = plan_.models[part.model];
    const Sized& tallest = *std::max_element(
        points.begin(), points.end(), [](const Sized& a, const Sized& b) { return a.size.layers < b.size.layers; });
    const LayerPlan any = plan_of(model, part, plan_.points[points.front().point].scenario);
    const std::uint64_t seed =
        seed_for(plan_.policy.seed, model.name + "/" + any.kind, static_cast<std::uint64_t>(round));
    std::vector<WeightSet> weights;
    try {
      weights = part_weights(plan_, any, part.index, tallest.size.layers, seed, round);
    } catch (const BadInput& e) {  // a checkpoint's layer that is not as the first one
      for (const Sized& s : points) {
        record(part, s.point).outcome = Outcome::failed;
        record(part, s.point).why = e.what();
      }
      return changed();
    }
    for (const Sized& s : points) {
      measure_point(part, round, s, weights, seed, round == 0 && s.point == tallest.point);
      ++cells_done_;
      changed();
    }
  }

  void measure_point(const Part& part, std::int64_t round, const Sized& sized, const std::vector<WeightSet>& weights,
                     std::uint64_t seed, bool check_all_layers) {
    const ModelSpec& model = plan_.models[part.model];
    const std::size_t p = sized.point;
    PartRecord& r = record(part, p);
    try {
      if (copy_same_head(part, p, round, r)) return;
      const Scenario& s = plan_.points[p].scenario;
      RunContext context = this->context();
      measure_cell(context,
                   {model, result_.points[p], s, plan_of(model, part, s), round, sized.size, weights, seed,
                    chain_of(plan_, part.index), check_all_layers},
                   r);
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
  }

  // Prefill and decode of the same batch end in the same head: what was measured for one point of this round stands for
  // the other.
  bool copy_same_head(const Part& part, std::size_t point, std::int64_t round, PartRecord& r) {
    if (part.kind) return false;
    for (std::size_t p = 0; p < plan_.points.size(); ++p) {
      if (p == point || !same_head(result_.points[p], result_.points[point])) continue;
      const PartRecord& other = record(part, p);
      if (other.outcome != Outcome::measured || static_cast<std::int64_t>(other.rounds.size()) != round + 1) continue;
      r = other;
      return true;
    }
    return false;
  }

  double done() const {
    return total_cells_ == 0 ? 0 : static_cast<double>(cells_done_) / static_cast<double>(total_cells_);
  }
  // Said once for all cells, with how many there are by now.
  void tell_probes_again() {
    if (probes_again_ == 0) return;
    constexpr const char* kCode = "probed_again";
    const auto known = std::find_if(result_.warnings.begin(), result_.warnings.end(),
                                    [](const Warning& w) { return w.code == kCode; });
    Warning& warning = known != result_.warnings.end() ? *known : result_.warnings.emplace_back(Warning{kCode, ""});
    warning.text = fmt::format(
        "probes of the machine's limits taken again, because a sample was faster than they allowed: {}", probes_again_);
  }

  void changed() {
    tell_probes_again();
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
  std::int64_t probes_again_ = 0;
  std::int64_t total_cells_ = 0, cells_done_ = 0;
};

// In the order of their decisions; those of an earlier result are too many to list.
std::vector<std::string> pin_words(const std::vector<VariantPin>& pins) {
  std::vector<std::string> words;
  std::string earlier;
  for (const VariantPin& pin : pins) {
    const std::string word = pin.op + "=" + pin.variant;
    if (pin.at) earlier += fmt::format("{}, {}: {}\n", to_text(*pin.at), pin.kind, word);
    else words.push_back(word);
  }
  if (!earlier.empty()) words.push_back("from " + short_digest(earlier));
  return words;
}

}  // namespace

LayerPlan plan_part(const ModelSpec& m, std::size_t index, const Scenario& s) {
  const StepShape shape = step_shape(s, m.experts.has_value());
  return index < m.kinds.size() ? plan_layer(m, m.kinds[index], shape) : plan_head(m, s.batch, shape);
}

std::vector<WeightSet> part_weights(const RunPlan& plan, const LayerPlan& layer, std::size_t part, std::int64_t layers,
                                    std::uint64_t seed, std::int64_t round) {
  std::vector<WeightSet> out;
  for (std::int64_t l = 0; l < layers; ++l)
    out.push_back(plan.stored ? plan.stored->read(layer, part, round + l) : synthetic_weights(layer, seed, l));
  return out;
}

std::int64_t chain_of(const RunPlan& plan, std::size_t part) {
  return plan.stored && part < plan.models.front().kinds.size()
             ? static_cast<std::int64_t>(plan.stored->layers_of(part))
             : Stack::kWhole;
}

ModelRecord model_record(const ModelSpec& m) {
  ModelRecord r;
  r.name = m.name;
  r.id = m.id;
  r.model_type = m.model_type;
  const ParameterCount n = count_parameters(m);
  r.parameters_total = n.total;
  r.parameters_active = n.active;
  r.parameters_active_with_embedding = n.active_with_embedding;
  r.layers = m.layers;
  r.hidden = m.hidden;
  r.vocab = m.vocab;
  if (m.experts) {
    r.experts = m.experts->experts;
    r.top_k = m.experts->top_k;
  }
  r.digest = model_digest(m);
  return r;
}

ScenarioRecord scenario_record(const ModelSpec& m, const Scenario& s, const DeviceInfo& device) {
  ScenarioRecord r;
  r.model = m.name;
  r.phase = to_string(s.phase);
  r.batch = s.batch;
  r.context = s.context;
  r.new_tokens = step_shape(s, false).q_len;
  r.weight_type = s.weights.name();
  r.activation_type = to_string(s.activation_type);
  r.kv_type = to_string(s.kv_type);
  r.device = device.id;
  r.routing = m.experts ? s.routing.name() : std::string();
  return r;
}

void plan_result(const RunPlan& plan, const DeviceInfo& device, ResultFile& result) {
  const Policy& p = plan.policy;
  result.policy = PolicyRecord{p.rounds, p.cell_s,       p.min_samples, p.max_samples,       p.section_min_s,
                               p.seed,   plan.with_head, plan.depths,   pin_words(plan.pins)};
  for (const ModelSpec& m : plan.models) {
    result.models.push_back(model_record(m));
    if (plan.stored) result.models.back().weights_from = plan.stored->name();
  }
  for (const RunPoint& point : plan.points) {
    const ModelSpec& m = plan.models[point.model];
    const Scenario& s = point.scenario;
    PointRecord r;
    static_cast<ScenarioRecord&>(r) = scenario_record(m, s, device);
    r.tokens = step_shape(s, false).tokens();
    const MemoryNeed need = memory_need(m, s, static_cast<double>(device.memory_bytes));
    r.memory = {.weight_bytes = need.weight_bytes,
                .kv_bytes = need.kv_bytes,
                .activation_bytes = need.activation_bytes,
                .device_bytes = static_cast<double>(device.memory_bytes),
                .largest_batch = need.largest_batch};
    if (need.kv_held_bytes > need.kv_bytes) r.memory.kv_held_bytes = need.kv_held_bytes;
    for (const LayerKind& kind : m.kinds) {
      PartRecord part;
      part.kind = kind.name;
      part.count = m.count_of(kind);
      part.why = "not reached";
      r.parts.push_back(std::move(part));
    }
    PartRecord head;
    head.kind = kHeadPart;
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
  result.complete = is_complete(result);
}

}  // namespace layercost

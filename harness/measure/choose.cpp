// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/result/stats.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr double kTieBand = 0.02;
constexpr int kPasses = 3;  // of every candidate over every layer
constexpr std::size_t kLeastReadings = 3;
constexpr double kHopeless = 2;  // times the best after one pass

struct Candidate {
  const Variant* variant;
  std::vector<std::unique_ptr<Invocation>> calls = {};  // of each layer; empty for the present one
  std::vector<double> times_s = {};
  bool out = false;  // hopeless, or given up
};

class Trial {
 public:
  Trial(std::span<const std::unique_ptr<Layer>> layers, double budget_s, Runtime& runtime)
      : layers_(layers),
        plan_(layers.front()->plan()),
        budget_s_(budget_s),
        runtime_(runtime),
        candidates_(plan_.ops.size()) {
    choice_.tried.resize(plan_.ops.size());
  }

  Choice run(std::span<const Variant* const> fixed, double spare_bytes) {
    find(fixed);
    if (most_ > 1 && packed_bytes() <= spare_bytes) {
      prepare();
      begin_s_ = runtime_.wall_s();
      if (load()) {
        measure();
        decide();
      }
    }
    return std::move(choice_);
  }

 private:
  double spent_s() const { return runtime_.wall_s() - begin_s_; }
  bool present(std::size_t op, const Candidate& c) const { return c.variant == &layers_[0]->variant(op); }

  void find(std::span<const Variant* const> fixed) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (fixed[i] != nullptr) continue;
      for (const Variant* v : candidates(plan_.ops[i], runtime_.device())) candidates_[i].push_back({v});
      if (candidates_[i].size() < 2) candidates_[i].clear();
      most_ = std::max(most_, candidates_[i].size());
    }
  }

  // Of weights once more; the variants of a GPU share one copy.
  double packed_bytes() const {
    double bytes = 0;
    for (std::size_t i = 0; i < candidates_.size() && runtime_.on_host(); ++i)
      for (const auto& [role, name] : plan_.ops[i].bind)
        for (const WeightSpec& w : plan_.weights)
          if (w.name == name && !candidates_[i].empty())
            bytes += w.bytes() * static_cast<double>(layers_.size() * (candidates_[i].size() - 1));
    return bytes;
  }

  // On a CPU what goes wrong here would go wrong for a default too; a GPU's libraries may refuse a case only now.
  template <class Action, class Instead>
  void attempt(std::size_t op, Candidate& c, Action&& action, Instead&& instead) {
    try {
      action();
    } catch (const Interrupted&) {
      throw;
    } catch (const DeviceLost&) {
      throw;
    } catch (const std::exception& e) {
      if (runtime_.on_host() || present(op, c)) throw;
      c.out = true;
      c.calls.clear();
      choice_.given_up.push_back(fmt::format("{} by {}: {}", plan_.ops[op].component, c.variant->name, e.what()));
      instead();
    }
  }

  void prepare() {
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      for (Candidate& c : candidates_[i]) {
        if (present(i, c)) continue;
        const auto all_layers = [&] {
          for (const auto& layer : layers_) {
            interrupt_check();
            c.calls.push_back(layer->prepare(i, *c.variant));
          }
        };
        attempt(i, c, all_layers, [] {});
      }
  }

  // One layer, each op by its candidate `number` where that one is in, else by its present choice.
  template <class Run>
  void run_layer(std::size_t l, std::size_t number, Run&& run) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      Invocation& as_ever = layers_[l]->call(i);
      if (number >= candidates_[i].size() || candidates_[i][number].out) {
        as_ever.run();
        continue;
      }
      Candidate& c = candidates_[i][number];
      run(i, c, c.calls.empty() ? as_ever : *c.calls[l]);
    }
  }

  // A kernel that is loaded while the queue is held would wait for the queue: on a GPU each runs once before.
  bool load() {
    for (std::size_t number = 0; number < most_ && !runtime_.on_host(); ++number) {
      const double begin_s = spent_s();
      if (begin_s > budget_s_) return false;
      run_layer(0, number, [&](std::size_t op, Candidate& c, Invocation& call) {
        attempt(
            op, c, [&] { call.run(); }, [&] { layers_[0]->call(op).run(); });
      });
      runtime_.synchronise();
      longest_s_ = std::max(longest_s_, spent_s() - begin_s);
    }
    return true;
  }

  void measure() {
    for (int pass = 0; pass < kPasses; ++pass) {
      for (std::size_t turn = 0; turn < most_; ++turn)
        for (std::size_t l = 0; l < layers_.size(); ++l) {
          interrupt_check();
          const double begin_s = spent_s();
          if (begin_s + longest_s_ > budget_s_) return;
          // Candidates alternate from layer to layer, so that all have as many readings wherever this ends.
          run_layer(l, (turn + static_cast<std::size_t>(pass) + l) % most_,
                    [&](std::size_t, Candidate& c, Invocation& call) {
                      c.times_s.push_back(runtime_.time([&] { call.run(); }).device_s);
                    });
          longest_s_ = std::max(longest_s_, spent_s() - begin_s);
        }
      if (pass == 0) drop_hopeless();
    }
  }

  void drop_hopeless() {
    for (std::vector<Candidate>& all : candidates_) {
      double best_s = INFINITY;
      for (const Candidate& c : all)
        if (!c.out) best_s = std::min(best_s, median(c.times_s));
      for (Candidate& c : all) c.out = c.out || median(c.times_s) > kHopeless * best_s;
    }
  }

  void decide() {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      std::vector<std::vector<double>> times_s(candidates_[i].size());
      std::vector<TriedVariant> tried;
      for (std::size_t c = 0; c < times_s.size(); ++c) {
        const Candidate& candidate = candidates_[i][c];
        if (candidate.times_s.empty() || (!candidate.out && candidate.times_s.size() < kLeastReadings)) continue;
        tried.push_back({candidate.variant->name, median(candidate.times_s)});
        if (!candidate.out) times_s[c] = candidate.times_s;
      }
      if (tried.size() < 2 || tried.front().variant != candidates_[i].front().variant->name) continue;
      choice_.tried[i] = std::move(tried);
      Candidate& best = candidates_[i][choose_candidate(times_s)];
      for (std::size_t l = 0; l < best.calls.size(); ++l) layers_[l]->use(i, *best.variant, std::move(best.calls[l]));
    }
  }

  std::span<const std::unique_ptr<Layer>> layers_;
  const LayerPlan& plan_;
  double budget_s_;
  Runtime& runtime_;
  double begin_s_ = 0;
  std::vector<std::vector<Candidate>> candidates_;  // of each op; empty where nothing is to be chosen
  std::size_t most_ = 0;                            // candidates of one op
  double longest_s_ = 0;                            // of a layer so far
  Choice choice_;
};

}  // namespace

std::size_t choose_candidate(std::span<const std::vector<double>> times_s) {
  std::size_t best = times_s.size();
  double best_s = 0;
  for (std::size_t i = 0; i < times_s.size(); ++i) {
    if (times_s[i].empty()) continue;
    const double m = median(times_s[i]);
    if (best == times_s.size() || m < best_s) best = i, best_s = m;
  }
  const std::vector<double>& t = times_s[best];
  const double notch = 1.58 * (quantile(t, 0.75) - quantile(t, 0.25)) / std::sqrt(static_cast<double>(t.size()));
  const double allowed = best_s + std::max(kTieBand * best_s, notch);
  for (std::size_t i = 0; i < best; ++i)
    if (!times_s[i].empty() && median(times_s[i]) <= allowed) return i;
  return best;
}

std::vector<const Variant*> candidates(const PlannedOp& p, const DeviceInfo& device) {
  return candidates(find_op(p.op_case.op()), p.op_case, device);
}

std::vector<const Variant*> candidates(const OpDef& op, const OpCase& c, const DeviceInfo& device) {
  std::vector<const Variant*> out;
  for (const Variant* v : op.variants()) {
    if (!is_preferred(op, *v, c, device)) continue;
    if (!v->plain || out.empty()) out.push_back(v);
    if (v->plain) break;
  }
  return out;
}

Choice choose_variants(std::span<const std::unique_ptr<Layer>> layers, std::span<const Variant* const> fixed,
                       double spare_bytes, double budget_s, Runtime& runtime) {
  return Trial(layers, budget_s, runtime).run(fixed, spare_bytes);
}

std::vector<VariantPin> pins_of(const ResultFile& file) {
  std::vector<VariantPin> out;
  for (const PointRecord& point : file.points)
    for (const PartRecord& part : point.parts)
      for (const OpRecord& op : part.ops) out.push_back({op.component, op.variant, point, part.kind});
  return out;
}

const Variant* pinned_variant(std::span<const VariantPin> pins, const ScenarioRecord& scenario, const LayerPlan& plan,
                              const PlannedOp& p, const DeviceInfo& device) {
  for (const VariantPin& pin : pins) {
    if (pin.op != p.component && pin.op != p.op_case.op()) continue;
    if (pin.at && !(same_scenario(*pin.at, scenario) && pin.kind == plan.kind)) continue;
    const Variant& v = find_variant(find_op(p.op_case.op()), pin.variant);
    if (const Support s = support(find_op(p.op_case.op()), v, p.op_case, device); !s)
      throw BadCase(
          fmt::format("{}: pinned to {}, which cannot do {}: {}", p.component, pin.variant, p.op_case.text(), s.why));
    return &v;
  }
  return nullptr;
}

}  // namespace layercost

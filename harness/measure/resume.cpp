// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "harness/measure/choose.h"
#include "harness/measure/op_records.h"
#include "harness/result/identity.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

class Resumption {
 public:
  Resumption(const RunPlan& plan, const DeviceInfo& device, const ResultFile& planned, ResultFile old,
             const std::string& file)
      : plan_(plan), device_(device), planned_(planned), old_(std::move(old)), file_(file) {}

  ResultFile run() {
    same(build_difference(old_, planned_));
    same(machine_difference(old_.environment, planned_.environment));
    same("suite", old_.suite, planned_.suite);
    same_models();
    same_policy();
    take_price();
    same("points", old_.points.size(), planned_.points.size());
    for (std::size_t p = 0; p < planned_.points.size(); ++p) take_point(p);
    old_.complete = false;
    old_.schema_version = kSchemaVersion;  // it is written anew
    return std::move(old_);
  }

 private:
  [[noreturn]] void refuse(const std::string& place, const std::string& message) const {
    throw BadInput(file_, place, message + "; a resumed run must continue the same one");
  }
  template <typename T>
  void same(const std::string& place, const T& was, const T& is) const {
    const auto text = [](const T& value) { return printable(fmt::format("{}", value), 300); };
    if (!(was == is)) refuse(place, fmt::format("was '{}', is '{}' now", text(was), text(is)));
  }
  void same(const std::optional<Difference>& d, const std::string& place = "") const {
    if (d) same(place + d->member, d->first, d->second);
  }

  void same_models() {
    same("models", old_.models.size(), planned_.models.size());
    for (std::size_t m = 0; m < planned_.models.size(); ++m) {
      const std::string place = fmt::format("models[{}].", m);
      same(place + "name", old_.models[m].name, planned_.models[m].name);
      same(model_difference(old_.models[m], planned_.models[m]), place);
      old_.models[m].digest = planned_.models[m].digest;  // an older file says none
    }
  }

  void same_policy() {
    if (!planned_.policy) return;
    if (old_.policy) {
      const PolicyRecord &was = *old_.policy, &is = *planned_.policy;
      if (is.rounds < was.rounds) same("policy.rounds", was.rounds, is.rounds);
      same("policy.cell_s", was.cell_s, is.cell_s);
      same("policy.min_samples", was.min_samples, is.min_samples);
      same("policy.max_samples", was.max_samples, is.max_samples);
      same("policy.section_min_s", was.section_min_s, is.section_min_s);
      same("policy.seed", was.seed, is.seed);
      same("policy.head", was.head, is.head);
      same("policy.depths", fmt::format("{}", fmt::join(was.depths, ",")),
           fmt::format("{}", fmt::join(is.depths, ",")));
      same("policy.pins", fmt::format("{}", fmt::join(was.pins, " ")), fmt::format("{}", fmt::join(is.pins, " ")));
    }
    old_.policy = planned_.policy;
  }

  // What was not named again is kept.
  void take_price() {
    if (!planned_.price) return;
    PriceRecord now = *planned_.price;
    if (old_.price) {
      if (!now.utilisation) now.utilisation = old_.price->utilisation;
      if (!now.mix) now.mix = old_.price->mix;
      same(price_difference(*old_.price, now));
    }
    old_.price = std::move(now);
  }

  void take_point(std::size_t p) {
    const std::string place = fmt::format("points[{}]", p);
    PointRecord& was = old_.points[p];
    const PointRecord& is = planned_.points[p];
    if (!same_scenario(was, is)) same(place, to_text(was), to_text(is));
    same(place + ".tokens", was.tokens, is.tokens);
    same(place + ".memory.weight_bytes", was.memory.weight_bytes, is.memory.weight_bytes);
    same(place + ".memory.kv_bytes", was.memory.kv_bytes, is.memory.kv_bytes);
    const auto kinds = [](const PointRecord& point) {
      std::vector<std::string> names;
      for (const PartRecord& part : point.parts) names.push_back(part.kind);
      std::sort(names.begin(), names.end());
      return fmt::format("{}", fmt::join(names, ", "));
    };
    same(place + ".parts", kinds(was), kinds(is));
    std::vector<PartRecord> parts;
    for (std::size_t i = 0; i < is.parts.size(); ++i) {
      const auto at = std::find_if(was.parts.begin(), was.parts.end(),
                                   [&](const PartRecord& part) { return part.kind == is.parts[i].kind; });
      const auto index = at - was.parts.begin();
      take_part(p, i, *at, fmt::format("{}.parts[{}]", place, index));
      parts.push_back(*at);
    }
    was.parts = std::move(parts);
  }

  void take_part(std::size_t p, std::size_t i, PartRecord& was, const std::string& place) const {
    const RunPoint& point = plan_.points[p];
    const PartRecord& is = planned_.points[p].parts[i];
    same(place + ".count", was.count, is.count);
    const LayerPlan plan = plan_part(plan_.models[point.model], i, point.scenario);
    if (!was.ops.empty()) same_ops(was.ops, plan, place + ".ops");
    if (was.routing && plan.experts()) {
      same(place + ".routing.experts", was.routing->experts, plan.experts()->experts);
      same(place + ".routing.top_k", was.routing->top_k, plan.experts()->top_k);
    }
    if (was.outcome == Outcome::failed) retry(was);
    if (was.rounds.empty()) return;
    if (was.ops.empty() || !was.stack || !was.verdict || (plan.experts() && !was.routing))
      refuse(place, "has rounds, but no ops, stack, verdict or routing to go with them");
    for (std::size_t r = 0; r < was.rounds.size(); ++r)
      same(fmt::format("{}.rounds[{}].index", place, r), was.rounds[r].index, static_cast<std::int64_t>(r));
  }

  void same_ops(const std::vector<OpRecord>& was, const LayerPlan& plan, const std::string& place) const {
    const std::vector<OpRecord> is = op_records(plan);
    same(place, was.size(), is.size());
    for (std::size_t o = 0; o < is.size(); ++o) {
      const std::string at = fmt::format("{}[{}]", place, o);
      same(at + ".component", was[o].component, is[o].component);
      same(at + ".case_text", was[o].case_text, is[o].case_text);
      same(at + ".flops", was[o].flops, is[o].flops);
      same(at + ".product_flops", fmt::format("{}", was[o].product_flops), fmt::format("{}", is[o].product_flops));
      same(at + ".bytes", was[o].bytes, is[o].bytes);
      same(at + ".bytes_per_distinct_expert", was[o].bytes_per_distinct_expert, is[o].bytes_per_distinct_expert);
      const OpCase& c = plan.ops[o].op_case;
      const OpDef& op = find_op(c.op());
      const auto variants = op.variants();
      const auto v = std::find_if(variants.begin(), variants.end(),
                                  [&](const Variant* known) { return known->name == was[o].variant; });
      const std::string name = printable(was[o].variant);
      if (v == variants.end()) refuse(at + ".variant", fmt::format("{} has no variant '{}'", op.name, name));
      if (const Support s = support(op, **v, c, device_); !s)
        refuse(at + ".variant", fmt::format("'{}' cannot do it here: {}", name, s.why));
    }
  }

  // What was measured before it failed stays.
  static void retry(PartRecord& part) {
    const bool kept = !part.rounds.empty() && part.verdict && part.verdict->ok;
    PartRecord fresh;
    fresh.kind = part.kind;
    fresh.count = part.count;
    fresh.why = "not reached";
    if (!kept) {
      part = std::move(fresh);
      return;
    }
    part.outcome = Outcome::measured;
    part.why.clear();
  }

  const RunPlan& plan_;
  const DeviceInfo& device_;
  const ResultFile& planned_;
  ResultFile old_;
  const std::string& file_;
};

}  // namespace

void take_pins(RunPlan& plan, const DeviceInfo& device, const ResultFile& earlier, const std::string& file,
               ResultFile& result) {
  const std::optional<Difference> build = build_difference(earlier, result);
  for (std::size_t m = 0; m < earlier.models.size(); ++m) {
    ModelRecord was = earlier.models[m];
    if (build) was.digest.clear();  // another build may write the same plan in other words
    for (const ModelSpec& model : plan.models) {
      if (model.name != was.name) continue;
      if (const auto d = model_difference(was, model_record(model)))
        throw BadInput(file, fmt::format("models[{}].{}", m, d->member),
                       fmt::format("was '{}', is '{}' now; pins are for the same model", printable(d->first, 300),
                                   printable(d->second, 300)));
    }
  }
  std::set<ScenarioRecord> wanted;
  for (const RunPoint& point : plan.points)
    wanted.insert(scenario_record(plan.models[point.model], point.scenario, device));
  std::size_t taken = 0;
  for (VariantPin& pin : pins_of(earlier)) {
    if (!wanted.contains(*pin.at)) continue;
    plan.pins.push_back(std::move(pin));
    ++taken;
  }
  if (taken == 0)
    throw BadInput(file, "points",
                   fmt::format("none was measured at a point of this run, such as {}",
                               printable(wanted.empty() ? "" : to_text(*wanted.begin()), 300)));
  for (const auto& d : {build, machine_difference(earlier.environment, result.environment)})
    if (d)
      result.warnings.push_back(
          {"pins_from_elsewhere",
           fmt::format("{} was '{}' where the pins were chosen, is '{}' here", d->member, d->first, d->second)});
}

ResultFile resume(const RunPlan& plan, const DeviceInfo& device, const ResultFile& planned, ResultFile old,
                  const std::string& file) {
  return Resumption(plan, device, planned, std::move(old), file).run();
}

}  // namespace layercost

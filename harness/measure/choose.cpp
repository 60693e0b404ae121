// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "harness/result/stats.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {
constexpr double kTieBand = 0.02;
}

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
  std::vector<const Variant*> out;
  for (const Variant* v : find_op(p.op_case.op()).variants()) {
    const bool plain = std::string_view(v->name).find("plain") != std::string_view::npos;
    if (v->target != device.target || (plain && !out.empty()) || !v->supports(p.op_case, device)) continue;
    out.push_back(v);
  }
  return out;
}

std::vector<VariantPin> pins_of(const ResultFile& file) {
  std::vector<VariantPin> out;
  for (const PointRecord& point : file.points)
    for (const PartRecord& part : point.parts)
      for (const OpRecord& op : part.ops)
        out.push_back({op.component, op.variant, point.model, point.phase, part.kind, point.batch, point.context});
  return out;
}

const Variant* pinned_variant(std::span<const VariantPin> pins, const ModelSpec& model, const Scenario& scenario,
                              const LayerPlan& plan, const PlannedOp& p, const DeviceInfo& device) {
  const auto fits = [](const auto& wanted, const auto& is) {
    return wanted == std::decay_t<decltype(wanted)>{} || wanted == is;
  };
  for (const VariantPin& pin : pins) {
    if ((pin.op != p.component && pin.op != p.op_case.op()) || !fits(pin.model, model.name) ||
        !fits(pin.phase, to_string(scenario.phase)) || !fits(pin.kind, plan.kind) || !fits(pin.batch, scenario.batch) ||
        !fits(pin.context, scenario.context))
      continue;
    const Variant& v = find_variant(find_op(p.op_case.op()), pin.variant);
    const Support support =
        v.target == device.target ? v.supports(p.op_case, device) : Support::no("it is for another kind of device");
    if (!support)
      throw BadCase(fmt::format("{}: pinned to {}, which cannot do {}: {}", p.component, pin.variant, p.op_case.text(),
                                support.why));
    return &v;
  }
  return nullptr;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/projection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/measure/op_records.h"
#include "harness/result/roofline.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

bool fits(const ModelSpec& m, Scenario s, std::int64_t context, double memory_bytes) {
  s.context = context;
  return memory_need(m, s, memory_bytes).total_bytes() <= memory_bytes;
}

// Need grows with the context: halving.
std::optional<std::int64_t> largest_context(const ModelSpec& m, const Scenario& s, double memory_bytes) {
  constexpr std::int64_t kMostContext = std::int64_t{1} << 24;
  const std::int64_t positions = m.max_position > 0 ? std::min(m.max_position, kMostContext) : kMostContext;
  std::int64_t low = 1, high = std::max<std::int64_t>(1, positions - (s.phase == Phase::decode));
  if (!fits(m, s, low, memory_bytes)) return std::nullopt;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (fits(m, s, middle, memory_bytes)) low = middle;
    else high = middle - 1;
  }
  return low;
}

}  // namespace

Projection project(const ModelSpec& m, const Scenario& s, const HardwareSpec& hardware, std::int64_t devices) {
  const auto n = static_cast<double>(devices);
  Projection p;
  p.hardware = hardware.name;
  p.arithmetic = to_string(s.activation_type);
  p.devices = devices;
  p.memory_bytes = n * hardware.memory_bytes.value;
  p.read_bytes_per_s = n * hardware.memory_bytes_per_s.value;
  const auto source = [&](const char* what, const std::string& from, const std::string& date, bool verified) {
    p.sources.push_back(fmt::format("{}: {}, {}{}", what, from, date, verified ? "" : " (not verified)"));
  };
  const auto figure = [&](const char* what, const HardwareFigure& f) { source(what, f.source, f.date, f.verified); };
  figure("memory", hardware.memory_bytes);
  figure("memory rate", hardware.memory_bytes_per_s);
  p.need = memory_need(m, s, p.memory_bytes);
  p.largest_context = largest_context(m, s, p.memory_bytes);
  const HardwarePeak* peak = hardware.peak(p.arithmetic);
  if (peak == nullptr) return p;
  source("arithmetic", peak->source, peak->date, peak->verified);
  p.flops_per_s = n * peak->flops_per_s;
  const StepShape shape = step_shape(s, m.experts.has_value());
  const Roofs roofs{p.read_bytes_per_s, *p.flops_per_s};
  double time_s = possible_s(op_records(plan_head(m, s.batch, shape)), roofs, 0);
  for (const LayerKind& kind : m.kinds) {
    const LayerPlan plan = plan_layer(m, kind, shape);
    time_s += static_cast<double>(plan.count) * possible_s(op_records(plan), roofs,
                                                              expected_facts(plan, s).distinct_experts.value_or(0));
  }
  p.possible_s = time_s;
  return p;
}

}  // namespace layercost

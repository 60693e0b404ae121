// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/efficiency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "harness/cost/composition.h"
#include "harness/cost/nominal_roofs.h"
#include "harness/result/op_work.h"
#include "harness/result/roofline.h"
#include "harness/result/stats.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// Of two amounts of work; of one that is nothing in both it says nothing.
double distance(double a, double b) {
  if (!(a > 0) && !(b > 0)) return 0;
  constexpr double kFar = 1e3;
  return a > 0 && b > 0 ? std::abs(std::log(a / b)) : kFar;
}

// Of the part's ops, in order; empty unless every one was timed.
std::vector<double> op_times(const PartRecord& part, double layer_s) {
  double sum_s = 0, least_s = 0;
  for (const OpRecord& op : part.ops) {
    if (!op.time_s || !(*op.time_s > 0)) return {};
    least_s = sum_s == 0 ? *op.time_s : std::min(least_s, *op.time_s);
    sum_s += *op.time_s;
  }
  const double mark_s = (sum_s - layer_s) / static_cast<double>(part.ops.size());
  const bool additive = mark_s > 0 && mark_s < least_s;
  std::vector<double> times;
  for (const OpRecord& op : part.ops) times.push_back(additive ? *op.time_s - mark_s : *op.time_s * layer_s / sum_s);
  return times;
}

void add_part(const PointRecord& point, const PartRecord& part, const HardwareSpec& measured_on, std::size_t source,
              std::vector<MeasuredOp>& out) {
  if (!is_timed(part)) return;
  if (const auto bounds = bounds_of(part); bounds && bounds->impossible) return;
  const std::vector<double> times = op_times(part, summarise_times(part.rounds)->median);
  const auto experts = distinct_experts_of(part);
  if (times.empty() || !experts) return;
  for (std::size_t i = 0; i < part.ops.size(); ++i) {
    OpRecord op = part.ops[i];
    const OpCase op_case = OpCase::parse(op.case_text);
    const auto work = work_of(op_case);
    if (!work) continue;
    // Files before 1.5 do not say which arithmetic an op multiplies in; its case does.
    op.product_flops = other_products(work->product_flops, point.activation_type);
    const auto nominal = nominal_roofs(measured_on, point.activation_type, {&op, 1});
    if (!nominal) continue;
    MeasuredOp m;
    m.source = source;
    m.where = fmt::format("{}, {}, {}", to_text(point), part.kind, op.component);
    m.phase = point.phase;
    m.key = efficiency_key(op_case);
    m.component = op.component;
    m.rows = rows_of(op_case);
    m.flops = op.flops;
    m.bytes = op.bytes + op.bytes_per_distinct_expert * *experts;
    m.time_s = times[i];
    m.labels = part.labels;
    m.distinct_experts = *experts;
    m.possible_s = possible_s({&op, 1}, nominal->roofs, *experts);
    if (!work->product_flops.empty() && m.possible_s > 0) m.efficiency = std::min(1.0, m.possible_s / m.time_s);
    else m.traffic_s = traffic_s(op_case, nominal->roofs);
    m.op = std::move(op);
    out.push_back(std::move(m));
  }
}

std::string kind_of(const ResultFile& file) {
  return fmt::format("{} '{}'", file.environment.target == "cpu" ? "the CPU" : "the device",
                     printable(file.environment.device_name));
}

}  // namespace

std::string efficiency_key(const OpCase& op_case) {
  std::string key = op_case.op();
  for (const char* name : {"x_type", "w_type", "kv_type"})
    if (op_case.has(name)) key += fmt::format(" {}={}", name, op_case.word(name, ""));
  for (const char* name : {"shared_kv", "uncached"})
    if (op_case.flag(name)) key += fmt::format(" {}", name);
  return key;
}

double rows_of(const OpCase& op_case) {
  for (const char* name : {"m", "tokens", "rows"})
    if (op_case.has(name)) return static_cast<double>(op_case.axis(name));
  return 0;
}

double traffic_s(const OpCase& op_case, const Roofs& roofs) {
  const auto work = work_of(op_case);
  if (!work) return 0;
  return std::max(work->flops / roofs.flops_per_s, (work->bytes + work->activation_bytes) / roofs.read_bytes_per_s);
}

double fold_between(double flops_a, double bytes_a, double flops_b, double bytes_b) {
  return std::exp(std::max(distance(flops_a, flops_b), distance(bytes_a, bytes_b)));
}

const MeasuredOp* Efficiencies::nearest(const std::string& phase, const std::string& key, const std::string& component,
                                        double rows, double flops, double bytes) const {
  const MeasuredOp* best = nullptr;
  std::tuple<bool, double, double> least;
  for (const MeasuredOp& op : ops) {
    if (op.phase != phase || op.key != key) continue;
    // At these rows its FLOPs would be as many times those that it had.
    const double times = op.rows > 0 && rows > 0 ? rows / op.rows : 1;
    const std::tuple here{op.component != component, distance(op.rows, rows),
                          fold_between(op.flops * times, op.bytes, flops, bytes)};
    if (best == nullptr || here < least) best = &op, least = here;
  }
  return best;
}

double Efficiencies::least_s(const std::string& phase, const std::string& key) const {
  std::optional<double> shortest, beyond;
  for (const MeasuredOp& op : ops) {
    if (op.phase != phase) continue;
    shortest = std::min(shortest.value_or(op.time_s), op.time_s);
    const double rest_s = op.time_s - op.possible_s;
    if (op.key == key) beyond = std::min(beyond.value_or(rest_s), rest_s);
  }
  return std::max(shortest.value_or(0), beyond.value_or(0));
}

bool same_architecture(const ResultFile& file, const HardwareSpec& target, const std::vector<HardwareSpec>& known) {
  const auto device = match_hardware(file.environment.device_name, known);
  return device && device->architecture == target.architecture;
}

Efficiencies measured_efficiencies(std::span<const ResultFile> files, std::span<const std::string> names,
                                   const HardwareSpec& target, const std::vector<HardwareSpec>& known) {
  Efficiencies out;
  for (std::size_t f = 0; f < files.size(); ++f) {
    const ResultFile& file = files[f];
    const auto refuse = [&](const std::string& why) {
      throw BadInput(fmt::format("--efficiency-from: {}: {}", printable(names[f]), why));
    };
    const auto measured_on = match_hardware(file.environment.device_name, known);
    if (!measured_on)
      refuse(
          fmt::format("was measured on {}, of which configs/hardware holds no figures; expected a device of {}'s "
                      "architecture, {}",
                      kind_of(file), target.name, target.architecture));
    if (measured_on->architecture != target.architecture)
      refuse(fmt::format("was measured on {}, which is {}; {} is {}", kind_of(file), measured_on->architecture,
                         target.name, target.architecture));
    if (std::any_of(out.sources.begin(), out.sources.end(),
                    [&](const EfficiencySource& s) { return s.content_hash == file.content_hash; }))
      continue;
    const std::size_t before = out.ops.size();
    for (const PointRecord& point : file.points)
      for (const PartRecord& part : point.parts) add_part(point, part, *measured_on, out.sources.size(), out.ops);
    if (out.ops.size() == before) refuse("holds no layer that was measured with a time for each of its operations");
    const std::string name = names[f] == "-" ? "standard input" : std::filesystem::path(names[f]).filename().string();
    out.sources.push_back({printable(name), file.content_hash, file.environment.device_name});
  }
  return out;
}

}  // namespace layercost

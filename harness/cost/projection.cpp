// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/projection.h"

#include <algorithm>
#include <limits>

#include "harness/cost/token_cost.h"
#include "harness/result/op_work.h"
#include "harness/result/roofline.h"

namespace layercost {
namespace {

// What it takes in arithmetic alone, without its bytes.
double arithmetic_s(OpRecord op, const Roofs& roofs) {
  op.bytes = op.bytes_per_distinct_expert = 0;
  return possible_s({&op, 1}, roofs, 0);
}

std::string limit_of(const OpRecord& op, const NominalRoofs& nominal, const Roofs& roofs, double possible) {
  if (arithmetic_s(op, roofs) < possible) return "memory";
  if (const auto work = work_of(OpCase::parse(op.case_text)); !work || work->product_flops.empty()) return "";
  // The arithmetic in which most of its work is.
  const NominalRate* most = &nominal.rates.front();
  double most_flops = op.flops;
  for (const auto& [arithmetic, flops] : op.product_flops) most_flops -= flops;
  for (const NominalRate& rate : nominal.rates)
    if (const auto in = op.product_flops.find(rate.arithmetic); in != op.product_flops.end() && in->second > most_flops)
      most = &rate, most_flops = in->second;
  return most->dtype;
}

void add_measured(ProjectedOp& p, const OpRecord& op, const StepPart& part, const std::string& phase, double as_one,
                  const Roofs& roofs, const Efficiencies& measured) {
  const OpCase op_case = OpCase::parse(op.case_text);
  const double flops = op.flops / as_one;
  const double bytes = (op.bytes + op.bytes_per_distinct_expert * part.distinct_experts) / as_one;
  const std::string key = efficiency_key(op_case);
  const MeasuredOp* m = measured.nearest(phase, key, op.component, rows_of(op_case), flops, bytes);
  if (m == nullptr) return;
  const double least_s = measured.least_s(phase, key);
  if (m->efficiency) {
    // On one of these devices, the measured op.
    const double its_possible_s = as_one * possible_s({&m->op, 1}, roofs, m->distinct_experts);
    const double its_s = std::max(least_s, its_possible_s / *m->efficiency);
    const double share = p.possible_s / its_possible_s;
    p.projected_s = share < 1 ? least_s + (its_s - least_s) * share : std::max(least_s, p.possible_s / *m->efficiency);
    p.efficiency = p.possible_s / *p.projected_s;
  } else {
    p.projected_s = std::max(least_s, m->time_s + std::max(0.0, traffic_s(op_case, roofs) - m->traffic_s));
  }
  p.where = m->where;
  p.source = m->source;
  p.fold = fold_between(flops, bytes, m->flops, m->bytes);
  p.labels = m->labels;
}

Roofs times(const Roofs& one, double n) {
  Roofs out{one.read_bytes_per_s * n, one.flops_per_s * n};
  for (const auto& [arithmetic, rate] : one.product_flops_per_s) out.product_flops_per_s[arithmetic] = rate * n;
  return out;
}

// All ops of the step as one list, each with its bytes at the fewest experts.
double whole_hard_bound_s(const StepWork& work, const Roofs& roofs) {
  std::vector<OpRecord> all;
  for (const StepPart& part : work.parts)
    for (OpRecord op : part.ops) {
      const auto count = static_cast<double>(part.count);
      op.flops *= count;
      op.bytes = count * (op.bytes + op.bytes_per_distinct_expert * part.least_experts);
      op.bytes_per_distinct_expert = 0;
      for (auto& [arithmetic, flops] : op.product_flops) flops *= count;
      all.push_back(std::move(op));
    }
  return hard_bound_s(all, roofs, 0);
}

}  // namespace

Projection project(const StepWork& work, const HardwareSpec& hardware, std::int64_t as_one,
                   const Efficiencies* measured) {
  const auto n = static_cast<double>(as_one);
  Projection p;
  p.devices = work.devices * as_one;
  p.tokens = work.tokens;
  p.per_user = work.phase == "decode";
  p.read_bytes_per_s = n * hardware.memory_bytes_per_s.value;
  p.memory_bound_s = whole_hard_bound_s(work, {p.read_bytes_per_s, std::numeric_limits<double>::infinity()});
  std::vector<OpRecord> all;
  for (const StepPart& part : work.parts) all.insert(all.end(), part.ops.begin(), part.ops.end());
  const auto nominal = nominal_roofs(hardware, work.activation_type, all);
  if (!nominal) return p;
  p.rates = nominal->rates;
  for (NominalRate& rate : p.rates) rate.flops_per_s *= n;
  const Roofs roofs = times(nominal->roofs, n);
  double possible = 0, projected = 0;
  for (const StepPart& part : work.parts) {
    ProjectedPart& out = p.parts.emplace_back(ProjectedPart{part.kind, part.count, {}});
    for (const OpRecord& op : part.ops) {
      ProjectedOp one;
      one.component = op.component;
      one.op = OpCase::parse(op.case_text).op();
      one.possible_s = possible_s({&op, 1}, roofs, part.distinct_experts);
      one.limited_by = limit_of(op, *nominal, roofs, one.possible_s);
      if (measured != nullptr) add_measured(one, op, part, work.phase, n, roofs, *measured);
      possible += static_cast<double>(part.count) * one.possible_s;
      projected += static_cast<double>(part.count) * one.projected_s.value_or(0);
      if (measured != nullptr && !one.projected_s &&
          std::find(p.missing.begin(), p.missing.end(), one.component) == p.missing.end())
        p.missing.push_back(one.component);
      out.ops.push_back(std::move(one));
    }
  }
  p.possible_s = possible;
  if (std::all_of(p.rates.begin(), p.rates.end(), [](const NominalRate& rate) { return rate.is_bound; }))
    p.hard_bound_s = whole_hard_bound_s(work, roofs);
  if (measured != nullptr && p.missing.empty()) p.projected_s = projected;
  return p;
}

std::optional<double> usd_per_mtok(const std::optional<PriceRecord>& price, const Projection& projection,
                                   std::optional<double> step_s) {
  if (!step_s) return std::nullopt;
  return usd_per_mtok(price, projection.tokens_per_s(*step_s) / static_cast<double>(projection.devices));
}

}  // namespace layercost

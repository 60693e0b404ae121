// SPDX-License-Identifier: Apache-2.0
#include "harness/result/roofline.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "harness/result/stats.h"

namespace layercost {
namespace {

double bytes_of(const OpRecord& op, double distinct_experts) {
  return op.bytes + op.bytes_per_distinct_expert * distinct_experts;
}

double rate_of(const std::string& arithmetic, const Roofs& roofs) {
  const auto own = roofs.product_flops_per_s.find(arithmetic);
  return own == roofs.product_flops_per_s.end() ? roofs.flops_per_s : own->second;
}

// What is left to the point's own arithmetic.
double own_flops(const OpRecord& op) {
  double flops = op.flops;
  for (const auto& [arithmetic, in_it] : op.product_flops) flops -= in_it;
  return std::max(0.0, flops);
}

}  // namespace

std::optional<Roofs> roofs_of(const Sample& sample) {
  const Roofs& before = sample.roofs_before;
  const Roofs& after = sample.roofs_after;
  if (!(before.read_bytes_per_s > 0 && after.read_bytes_per_s > 0 && before.flops_per_s > 0 && after.flops_per_s > 0)) {
    return std::nullopt;
  }
  Roofs mean{(before.read_bytes_per_s + after.read_bytes_per_s) / 2, (before.flops_per_s + after.flops_per_s) / 2};
  for (const auto& [arithmetic, rate] : before.product_flops_per_s)
    if (const auto other = after.product_flops_per_s.find(arithmetic); other != after.product_flops_per_s.end())
      mean.product_flops_per_s[arithmetic] = (rate + other->second) / 2;
  return mean;
}

bool know_rates(const Roofs& roofs, std::span<const OpRecord> ops) {
  return std::all_of(ops.begin(), ops.end(), [&](const OpRecord& op) {
    return std::all_of(op.product_flops.begin(), op.product_flops.end(),
                       [&](const auto& product) { return roofs.product_flops_per_s.contains(product.first); });
  });
}

std::optional<double> distinct_experts_of(const PartRecord& part, const Sample& sample) {
  if (sample.distinct_experts) return sample.distinct_experts;
  const bool needed = std::any_of(part.ops.begin(), part.ops.end(),
                                  [](const OpRecord& op) { return op.bytes_per_distinct_expert != 0; });
  if (!needed) return 0.0;
  if (part.routing && part.routing->distinct_experts > 0) return part.routing->distinct_experts;
  return std::nullopt;
}

std::optional<double> distinct_experts_of(const PartRecord& part) {
  std::vector<double> values;
  for (const Round& round : part.rounds) {
    for (const Sample& sample : round.samples) {
      const auto distinct = distinct_experts_of(part, sample);
      if (!distinct) return std::nullopt;
      values.push_back(*distinct);
    }
  }
  if (values.empty()) return std::nullopt;
  return moments(values).mean;
}

double possible_s(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts) {
  double sum_s = 0;
  for (const OpRecord& op : ops) {
    double arithmetic_s = own_flops(op) / roofs.flops_per_s;
    for (const auto& [arithmetic, flops] : op.product_flops) arithmetic_s += flops / rate_of(arithmetic, roofs);
    sum_s += std::max(arithmetic_s, bytes_of(op, distinct_experts) / roofs.read_bytes_per_s);
  }
  return sum_s;
}

double hard_bound_s(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts) {
  double own = 0, bytes = 0;
  std::map<std::string, double> products;
  for (const OpRecord& op : ops) {
    own += own_flops(op);
    bytes += bytes_of(op, distinct_experts);
    for (const auto& [arithmetic, flops] : op.product_flops) products[arithmetic] += flops;
  }
  double bound_s = std::max(own / roofs.flops_per_s, bytes / roofs.read_bytes_per_s);
  for (const auto& [arithmetic, flops] : products) bound_s = std::max(bound_s, flops / rate_of(arithmetic, roofs));
  return bound_s;
}

bool contradicts(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts, double time_s) {
  return hard_bound_s(ops, roofs, distinct_experts) > (1 + kRoofExcess) * time_s;
}

std::optional<double> nominal_fraction(const PartRecord& part, const NominalRecord& nominal) {
  std::vector<double> share;
  for (const Round& round : part.rounds) {
    for (const Sample& sample : round.samples) {
      const auto distinct = distinct_experts_of(part, sample);
      if (!distinct || part.ops.empty()) return std::nullopt;
      share.push_back(possible_s(part.ops, {nominal.read_bytes_per_s, nominal.flops_per_s}, *distinct) / sample.time_s);
    }
  }
  if (share.empty()) return std::nullopt;
  return median(share);
}

std::optional<Bounds> bounds_of(const PartRecord& part) {
  if (part.ops.empty()) return std::nullopt;
  std::vector<double> possible, hard;
  for (const Round& round : part.rounds) {
    for (const Sample& sample : round.samples) {
      const auto roofs = roofs_of(sample);
      const auto distinct = distinct_experts_of(part, sample);
      if (!roofs || !distinct || !know_rates(*roofs, part.ops)) return std::nullopt;
      possible.push_back(possible_s(part.ops, *roofs, *distinct) / sample.time_s);
      hard.push_back(hard_bound_s(part.ops, *roofs, *distinct) / sample.time_s);
    }
  }
  if (possible.empty()) return std::nullopt;
  Bounds bounds;
  bounds.possible_fraction = median(possible);
  bounds.hard_fraction = median(hard);
  bounds.impossible = bounds.hard_fraction > 1 + kRoofExcess;
  return bounds;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/result/roofline.h"

#include <algorithm>
#include <vector>

#include "harness/result/stats.h"

namespace layercost {
namespace {

double bytes_of(const OpRecord& op, double distinct_experts) {
  return op.bytes + op.bytes_per_distinct_expert * distinct_experts;
}

}  // namespace

std::optional<Roofs> roofs_of(const Sample& sample) {
  const Roofs& before = sample.roofs_before;
  const Roofs& after = sample.roofs_after;
  if (!(before.read_bytes_per_s > 0 && after.read_bytes_per_s > 0 && before.flops_per_s > 0 && after.flops_per_s > 0)) {
    return std::nullopt;
  }
  return Roofs{(before.read_bytes_per_s + after.read_bytes_per_s) / 2, (before.flops_per_s + after.flops_per_s) / 2};
}

std::optional<double> distinct_experts_of(const PartRecord& part, const Sample& sample) {
  if (sample.distinct_experts) return sample.distinct_experts;
  const bool needed = std::any_of(part.ops.begin(), part.ops.end(),
                                  [](const OpRecord& op) { return op.bytes_per_distinct_expert != 0; });
  if (!needed) return 0.0;
  if (part.routing && part.routing->distinct_experts > 0) return part.routing->distinct_experts;
  return std::nullopt;
}

double possible_s(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts) {
  double sum_s = 0;
  for (const OpRecord& op : ops) {
    sum_s += std::max(op.flops / roofs.flops_per_s, bytes_of(op, distinct_experts) / roofs.read_bytes_per_s);
  }
  return sum_s;
}

double hard_bound_s(std::span<const OpRecord> ops, const Roofs& roofs, double distinct_experts) {
  double flops = 0, bytes = 0;
  for (const OpRecord& op : ops) {
    flops += op.flops;
    bytes += bytes_of(op, distinct_experts);
  }
  return std::max(flops / roofs.flops_per_s, bytes / roofs.read_bytes_per_s);
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
      if (!roofs || !distinct) return std::nullopt;
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

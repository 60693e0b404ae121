// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/likeness.h"

#include "harness/result/roofline.h"

namespace layercost {
namespace {

struct StepWork {
  double flops = 0, bytes = 0;
};

// Of the whole model: absent where a part of it was not measured.
std::optional<StepWork> step_work(const PointRecord& point) {
  StepWork sum;
  for (const PartRecord& part : point.parts) {
    if (part.count == 0) continue;  // beside the model
    const auto distinct = distinct_experts_of(part);
    if (!distinct || part.ops.empty()) return std::nullopt;
    for (const OpRecord& op : part.ops) {
      sum.flops += static_cast<double>(part.count) * op.flops;
      sum.bytes += static_cast<double>(part.count) * (op.bytes + op.bytes_per_distinct_expert * *distinct);
    }
  }
  return sum;
}

std::optional<double> ratio(double dense, double moe) {
  return dense > 0 && moe > 0 ? std::optional(dense / moe) : std::nullopt;
}

}  // namespace

Likeness likeness(const ModelRecord& dense, const ModelRecord& moe, const PointRecord& dense_point,
                  const PointRecord& moe_point) {
  Likeness result;
  result.total = ratio(static_cast<double>(dense.parameters_total), static_cast<double>(moe.parameters_total));
  result.active = ratio(static_cast<double>(dense.parameters_active), static_cast<double>(moe.parameters_active));
  const auto d = step_work(dense_point), m = step_work(moe_point);
  if (d && m) {
    result.flops = ratio(d->flops, m->flops);
    result.bytes = ratio(d->bytes, m->bytes);
  }
  return result;
}

std::vector<std::string_view> alike_in(const Likeness& like) {
  std::vector<std::string_view> names;
  const auto add = [&](const std::optional<double>& value, std::string_view name) {
    if (value && *value <= kAlike && *value >= 1 / kAlike) names.push_back(name);
  };
  add(like.total, "iso-total");
  add(like.active, "iso-active");
  add(like.flops, "iso-FLOP");
  add(like.bytes, "iso-byte");
  return names;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/op_records.h"

#include <algorithm>

#include "harness/plan/counts.h"
#include "harness/result/op_work.h"
#include "harness/spec/part_name.h"
#include "kernels/contract/registry.h"

namespace layercost {

std::vector<OpRecord> op_records(const LayerPlan& plan) {
  std::vector<OpRecord> out;
  for (const PlannedOp& p : plan.ops) {
    const OpDef& op = find_op(p.op_case.op());
    OpRecord r;
    r.component = p.component;
    r.case_text = p.op_case.text();
    const Work one = op.work(p.op_case, {1.0}), two = op.work(p.op_case, {2.0});
    r.flops = one.flops;
    r.product_flops = other_products(product_flops(one), to_string(plan.shape.activation_type));
    r.bytes_per_distinct_expert = two.weight_bytes - one.weight_bytes;  // 0 for ops without experts
    r.bytes = one.weight_bytes - r.bytes_per_distinct_expert + one.kv_read_bytes + one.kv_write_bytes;
    out.push_back(std::move(r));
  }
  out.front().bytes += plan.buffer(BufferRole::input).bytes();
  out.back().bytes += plan.buffer(BufferRole::output).bytes();
  return out;
}

StepWork step_work(const ModelSpec& m, const Scenario& s) {
  StepWork work;
  work.phase = to_string(s.phase);
  work.activation_type = to_string(s.activation_type);
  const StepShape shape = step_shape(s, m.experts.has_value());
  for (const LayerKind& kind : m.kinds) {
    const LayerPlan plan = plan_layer(m, kind, shape);
    if (plan.count == 0) continue;
    StepPart part{kind.name, plan.count, op_records(plan)};
    if (const auto experts = plan.experts()) {
      part.distinct_experts = *expected_facts(plan, s).distinct_experts;
      part.least_experts = static_cast<double>(std::min(experts->top_k, experts->experts));
    }
    work.parts.push_back(std::move(part));
  }
  work.parts.push_back({std::string(kHeadPart), 1, op_records(plan_head(m, s.batch, shape))});
  work.devices = std::max(m.devices, m.ranks);
  // The ranks of a group have the same sequences; where experts are shared, each group has its own.
  work.tokens = static_cast<double>(shape.tokens() * (m.devices > 1 ? m.devices / m.ranks : 1));
  return work;
}

}  // namespace layercost

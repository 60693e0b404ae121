// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/op_records.h"

#include "harness/result/op_work.h"
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

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/op_records.h"

namespace layercost {

std::vector<OpRecord> op_records(const LayerPlan& plan) {
  std::vector<OpRecord> out;
  for (const PlannedOp& p : plan.ops) {
    OpRecord r;
    r.component = p.component;
    r.case_text = p.op_case.text();
    const Work one = plan.work(p, {1.0}), two = plan.work(p, {2.0});
    r.flops = one.flops;
    r.bytes_per_distinct_expert = two.weight_bytes - one.weight_bytes;  // 0 for ops without experts
    r.bytes = one.weight_bytes - r.bytes_per_distinct_expert + one.kv_read_bytes + one.kv_write_bytes;
    out.push_back(std::move(r));
  }
  out.front().bytes += plan.buffer(BufferRole::input).bytes();
  out.back().bytes += plan.buffer(BufferRole::output).bytes();
  return out;
}

}  // namespace layercost

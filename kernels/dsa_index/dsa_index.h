// What:    the choice of the lightning indexer: which cached tokens a query of sparse attention sees.
// Formula: query i of sequence b sits at position p = kv_len - q_len + i and may choose among the keys j <= p.
//            score[i,j]     = sum_h weights[i,h] * max(0, sum_d q[i,h,d] index_cache[b,0,j,d])
//            selection[i,:] = the min(top_k, p + 1) keys of the largest scores, of equals the lower position first, as
//                             positions in ascending order; behind them -1
//          The published formula also multiplies by head_dim^-1/2 heads^-1/2, which changes no order.
//          kv_len <= top_k: every query chooses all it may, and no score is needed.
// Shapes:  q [batch * q_len, heads, head_dim]; weights [batch * q_len, heads];
//          index_cache [batch, 1, capacity, head_dim]; selection [batch * q_len, top_k]. Slots from kv_len on hold
//          anything, also NaN: the tests put NaN there.
// Types:   x_type (q), kv_type (cache): f32 or bf16; weights f32; selection i32. Products and sums in f32.
// Cost:    2 heads (head_dim + 1) flops for each pair of a query and a key it may choose, of queries that may choose
//          among more than top_k; the comparisons are not counted. Reads each key once, where a score is needed.
// Axes:    batch q_len kv_len capacity heads head_dim top_k x_type kv_type
//          kv_len counts the keys of this call's queries too: index_rope has appended them.
// Tolerance: exact. Sums of rounded products are compared, so the choice is defined where scores differ by more than
//          rounding or are exact: the test cases' are, and many of them are equal.
// Errors:  BadCase unless q_len <= kv_len <= capacity.
// Source:  DeepSeek-AI, "DeepSeek-V3.2", 2025; DeepseekV32Indexer and GlmMoeDsaIndexer of transformers 5.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef dsa_index_op;

struct DsaIndexAxes {
  std::int64_t batch, q_len, kv_len, capacity, heads, head_dim, top_k;

  std::int64_t rows() const { return batch * q_len; }
  // Query `row` of all may choose among the first visible(row) keys of its sequence.
  std::int64_t visible(std::int64_t row) const { return kv_len - q_len + row % q_len + 1; }
  std::int64_t first_slot(std::int64_t row) const { return row / q_len * capacity; }
};
DsaIndexAxes dsa_index_axes(const OpCase&);
}  // namespace layercost

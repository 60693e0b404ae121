// What:    copies each token once per chosen expert, so that the rows of one expert lie together.
// Formula: the pairs (t, j) in order of (ids[t,j], t) are rows 0, 1, ...;  slots[t,j] = row of the pair
//          y[slots[t,j],:] = x[t,:]  (* weights[t,j], weighted=1)      offsets[e] = number of pairs whose expert is
//          below e
// Shapes:  x [tokens, hidden]; ids [tokens, top_k], i32, different within a row, each in 0 .. experts - 1;
//          y [tokens * top_k, hidden]; offsets [experts + 1], i32: expert e owns rows offsets[e] .. offsets[e+1] - 1,
//          perhaps none; slots [tokens, top_k], i32; weights [tokens, top_k].
// Types:   x_type (x, y): f32 or bf16; weights f32.
// Cost:    no flops (weighted: one per element of y); reads x once, writes it top_k times.
// Axes:    tokens hidden experts top_k [weighted=0|1] x_type
// Tolerance: none: a copy is exact; weighted: usual.
// Errors:  ids out of range are not looked for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef moe_permute_op;
}

// What:    products of consecutive groups of rows, each with a matrix of its own, by a grouped GEMM of CUTLASS: TMA and
//          wgmma, sm_90a only. Where CUTLASS is not part of the build the functions are null.
// Formula: y[r,n] = sum_k x[r,k] w[e,n,k]      offsets[e] <= r < offsets[e+1]
// Types:   all bf16, sums in f32; k and n multiples of 8.
// Rules:   offsets are read on the device: each launch first fills the problem list there. `memory` is the caller's,
//          of cutlass_grouped_bytes(), and used by no other launch in flight.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/simt/launch.h"

namespace layercost {

struct CutlassGrouped {
  int experts, n, k;
  const void* x;        // [rows, k]
  const void* offsets;  // i32 [experts + 1]
  const void* w;        // [experts, n, k]
  void* y;              // [rows, n]
  void* memory;
  int multiprocessors;
};

LAYERCOST_DEVICE_CODE std::size_t cutlass_grouped_bytes(const CutlassGrouped&);
LAYERCOST_DEVICE_CODE int launch_cutlass_grouped(const CutlassGrouped&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/coded_rows.h"

namespace layercost {

struct GroupedLinearCudaCoded {
  CodedRowsView w;  // a matrix for each expert
  int experts;
  int tokens;  // of an expert that a block takes at once: 8, 16, 32
  const void* x;
  const std::int32_t* offsets;
  void* y;
  simt::Type y_type;
  int split;  // warps of a block that share a tile, each with a part of k: 1, 2, 4
  const void* bias;  // [experts, n]; null: none
  simt::Type bias_type;
};
LAYERCOST_DEVICE_CODE int launch_grouped_linear_cuda_coded(const GroupedLinearCudaCoded&, Stream);

}  // namespace layercost

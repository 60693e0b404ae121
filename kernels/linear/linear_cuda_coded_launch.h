// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/coded_rows.h"

namespace layercost {

struct LinearCudaCoded {
  CodedRowsView w;
  int m;
  const void *x, *residual;  // residual: null without
  const float* bias;         // likewise
  void* y;
  simt::Type y_type;
  int split;  // warps of a block that share a tile, each with a part of k: 1, 2, 4
};
LAYERCOST_DEVICE_CODE int launch_linear_cuda_coded(const LinearCudaCoded&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

constexpr int kHeadLinearTokens = 8;  // per block
constexpr int kHeadLinearThreads = 128;
constexpr int kHeadLinearRows = 16;  // of outputs per block where w's rows are outputs; else one per thread

struct HeadLinearCudaHeads {
  std::int64_t tokens, rows, first_row;
  int heads, n, k, tail;
  bool transposed;
  const void *x, *w;
  void* y;
  simt::Type x_type, w_type, y_type;
  int width;  // elements of k per access where w's rows are outputs: 8, or 1
  int token_tiles, column_tiles;
};
LAYERCOST_DEVICE_CODE int launch_head_linear_cuda_heads(const HeadLinearCudaHeads&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct LinearCudaSkinnyShape {
  int rows;    // of w, that a block multiplies: multiples of 16
  int tokens;  // rows of x: multiples of 8
  int warps;   // of a block; each takes its part of k
  int stages;  // of 64 columns, for each warp

  constexpr int shared_bytes() const { return 128 * (rows + tokens) * warps * stages; }
};

// Each in at most 96 KB: two blocks on a multiprocessor of 228 KB, one on those that give a block 99 KB.
constexpr LinearCudaSkinnyShape kLinearCudaSkinny[] = {
    {16, 8, 8, 4}, {32, 8, 4, 4}, {16, 16, 8, 3}, {32, 16, 4, 4}, {64, 16, 4, 2}, {32, 32, 4, 3}, {64, 32, 4, 2},
};
constexpr int kLinearCudaSkinnyShapes = sizeof(kLinearCudaSkinny) / sizeof(LinearCudaSkinnyShape);
constexpr int kLinearCudaSkinnyTokens = 32;

struct LinearCudaSkinny {
  int m, n, k;
  const void *x, *w, *bias, *residual;  // bias, residual: null without
  void* y;
  simt::Type y_type;
  int shape;  // index of kLinearCudaSkinny, with tokens >= m
};
LAYERCOST_DEVICE_CODE int launch_linear_cuda_skinny(const LinearCudaSkinny&, Stream);

}  // namespace layercost

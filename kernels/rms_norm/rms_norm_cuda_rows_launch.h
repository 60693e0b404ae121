// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct RmsNormCudaRows {
  std::int64_t tokens, hidden;
  float eps;
  const void *x, *residual, *w, *addend;  // residual, addend: null without
  const float* factor;                    // behind the addend; null: 1
  void *sum, *y;
  float x_times, residual_times;  // of the two in their sum
  float y_times;                  // 0: sum is theirs; else y times this
  simt::Type x_type, w_type, y_type;
  int team;           // threads per token; 32: several tokens share a block
  int width;          // elements per access: 8 (hidden is a multiple of it) or 1
  bool in_registers;  // the row fits into the team's registers: kernel `once`, else `twice`
};
constexpr int kRmsNormVectors = 2;  // of eight elements, in registers of one thread
constexpr int kRmsNormMostThreads = 512;
LAYERCOST_DEVICE_CODE int launch_rms_norm_cuda_rows(const RmsNormCudaRows&, Stream);

}  // namespace layercost

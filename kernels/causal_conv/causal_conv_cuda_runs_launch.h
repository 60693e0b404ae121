// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct CausalConvCudaRuns {
  std::int64_t batch, q_len, channels, kernel, x_width;
  int width;                  // channels of a thread: 8 (channels and x_width are multiples of it) or 1
  const void *x, *w, *state;  // state: null without
  void *y, *next;
  simt::Type x_type, w_type, y_type;
};
LAYERCOST_DEVICE_CODE int launch_causal_conv_cuda_runs(const CausalConvCudaRuns&, Stream);

}  // namespace layercost

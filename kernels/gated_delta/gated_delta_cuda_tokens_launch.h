// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct GatedDeltaCudaTokens {
  std::int64_t batch, q_len;
  int heads, key_heads, key_dim, value_dim;
  float q_scale;
  bool vectors;  // value_dim is a multiple of 4: four columns of the state in one access
  const void* qkv;
  const float *ba, *a_log, *dt_bias, *state;  // state: null without
  void* y;
  float* next;
  simt::Type x_type, y_type;
};
constexpr int kGatedDeltaMostKeyDim = 256;  // sixteen rows of four columns of the state in a thread's registers
LAYERCOST_DEVICE_CODE int launch_gated_delta_cuda_tokens(const GatedDeltaCudaTokens&, Stream);

}  // namespace layercost

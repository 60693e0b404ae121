// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct LightningAttentionCudaTokens {
  std::int64_t batch, q_len;
  int heads, head_dim;
  bool vectors;  // head_dim is a multiple of 4: four columns of the state in one access
  const void* qkv;
  const float *slopes, *state;  // state: null without
  void* y;
  float* next;
  simt::Type x_type, y_type;
};
constexpr int kLightningMostHeadDim = 256;  // sixteen rows of four columns of the state in a thread's registers
LAYERCOST_DEVICE_CODE int launch_lightning_attention_cuda_tokens(const LightningAttentionCudaTokens&, Stream);

}  // namespace layercost

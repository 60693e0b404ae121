// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

constexpr int kDsaIndexMostDims = 256;

// Of queries first .. first + rows - 1 of all.
struct DsaIndexCudaBlocks {
  std::int64_t first, rows, q_len;
  int kv_len, capacity, heads, head_dim, top_k;
  const void *q, *cache;
  const float* weights;
  float* scores;  // [rows, kv_len]
  std::int32_t* selection;
  simt::Type x_type, kv_type;
};
LAYERCOST_DEVICE_CODE int launch_dsa_index_cuda_scores(const DsaIndexCudaBlocks&, Stream);
LAYERCOST_DEVICE_CODE int launch_dsa_index_cuda_select(const DsaIndexCudaBlocks&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

// Of the queries whose keys are gathered (attention_gather.h) numbers first .. first + rows - 1. Sizes in bytes.
struct AttentionCudaGathered {
  std::int64_t first, rows;
  std::int64_t q_len, whole, cut, capacity, selected;
  std::int64_t entry_bytes, q_bytes, y_bytes;
  const void *q, *cache;
  const std::int32_t* selection;
  void *near_q, *near_keys;
  const void* near_y;
  void* y;
};
// Their keys and themselves to where they lie side by side.
LAYERCOST_DEVICE_CODE int launch_attention_cuda_gather(const AttentionCudaGathered&, Stream);
// Their results back.
LAYERCOST_DEVICE_CODE int launch_attention_cuda_scatter(const AttentionCudaGathered&, Stream);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

constexpr std::int64_t kMoePermuteFewPairs = 1024;  // up to here one launch does everything
constexpr std::int64_t kMoePermuteChunk = 1024;     // pairs that one block ranks
constexpr std::int64_t kMoePermuteMostExperts = 1024;

struct MoePermuteCudaScan {
  std::int64_t tokens, experts, top_k, row_bytes;
  const void* x;
  const std::int32_t* ids;
  const float* weights;  // null: rows are copied as they are
  simt::Type x_type;
  void* y;
  std::int32_t *offsets, *slots;
  // Null for few pairs. [chunks, experts]: pairs of an expert in a chunk, then the row of the first of them; [pairs]:
  // a pair's number among those of its expert in the chunk.
  std::int32_t *first_rows, *ranks;
};
LAYERCOST_DEVICE_CODE int launch_moe_permute_cuda_scan(const MoePermuteCudaScan&, Stream);

}  // namespace layercost

// What:    a kernel that reads `bytes` bytes once (a multiple of 16) and writes one word per block. Together they are
//          the sum of all 32-bit words, modulo 2^32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct ReadProbeCuda {
  const void* from;
  std::int64_t bytes;
  std::uint32_t* sums;  // [blocks]
  int blocks;
};
LAYERCOST_DEVICE_CODE int launch_read_probe_cuda(const ReadProbeCuda&, Stream);

}  // namespace layercost

// What:    a kernel that reads `bytes` bytes once (a multiple of 16) and writes one word that depends on all of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct ReadProbeCuda {
  const void* from;
  std::int64_t bytes;
  std::uint32_t* sink;
  int blocks;
};
LAYERCOST_DEVICE_CODE int launch_read_probe_cuda(const ReadProbeCuda&, Stream);

}  // namespace layercost

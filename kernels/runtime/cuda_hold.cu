// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include "kernels/runtime/cuda_hold_launch.h"

namespace layercost {
namespace {

__device__ std::uint64_t nanoseconds() {
  std::uint64_t t;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
  return t;
}

__global__ void hold(volatile int* flag, volatile int* timed_out, std::uint64_t timeout_ns) {
  const std::uint64_t begin = nanoseconds();
  while (*flag == 0) {
    if (nanoseconds() - begin > timeout_ns) {
      *timed_out = 1;
      return;
    }
    __nanosleep(200);
  }
}

}  // namespace

int cuda_code_missing() {
  cudaFuncAttributes attributes = {};
  return static_cast<int>(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(hold)));
}

int launch_cuda_hold(volatile int* flag, volatile int* timed_out, std::uint64_t timeout_ns, Stream stream) {
  hold<<<1, 1, 0, reinterpret_cast<cudaStream_t>(stream)>>>(flag, timed_out, timeout_ns);
  return static_cast<int>(cudaGetLastError());
}

}  // namespace layercost

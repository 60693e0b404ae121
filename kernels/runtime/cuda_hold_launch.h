// What:    holds a stream until the host lets go: one thread that waits for *flag (memory that host and device share)
//          to become nonzero, or for `timeout_ns` of the device's clock; *timed_out is then set.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {
// 0 if the program holds code for the current device, else an error of the CUDA runtime.
int cuda_code_missing();
int launch_cuda_hold(volatile int* flag, volatile int* timed_out, std::uint64_t timeout_ns, Stream);
}

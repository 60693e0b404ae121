// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/affinity.h"

#include <sched.h>

#include <cstddef>

namespace layercost {

bool bind_thread(pid_t thread, int cpu) {
  cpu_set_t* set = CPU_ALLOC(cpu + 1);
  if (set == nullptr) return false;
  const std::size_t bytes = CPU_ALLOC_SIZE(cpu + 1);
  CPU_ZERO_S(bytes, set);
  CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set);
  const bool bound = sched_setaffinity(thread, bytes, set) == 0;
  CPU_FREE(set);
  return bound;
}

}  // namespace layercost

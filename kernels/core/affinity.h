// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

namespace layercost {

// The thread (0: this one) on that CPU alone, from now on. False where the system refuses.
bool bind_thread(pid_t thread, int cpu);

}  // namespace layercost

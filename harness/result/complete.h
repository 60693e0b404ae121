// What:    whether a result file holds all that was planned.
// Rule:    every part of every point is measured in all rounds, or is wrong, unsupported or out of memory, which
//          measuring again cannot change; the head may be skipped where it was not asked for; every point has its
//          depths where they were. A file without a policy says nothing of rounds: one will do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/result/record.h"

namespace layercost {

bool is_complete(const ResultFile&);

}  // namespace layercost

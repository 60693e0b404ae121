// What:    op cases under Google Benchmark: the one place that includes it.
// Rules:   each variant is checked on the case before it is timed; one that fails is reported as an error and has no
//          time. On a CPU caches are warm: weights that fit stay in them. On a GPU they are cold: copies of the case
//          take turns in one graph. What a token costs is measured by `run`, with cold weights.
// Units:   counters FLOP/s and B/s (compulsory bytes), as Google Benchmark prints them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernels/contract/op.h"

namespace layercost {

// Every variant of every case's op, in that order. `arguments` are Google Benchmark's own (--benchmark_...). Returns 1
// if any failed its check, 2 for arguments that it does not know.
int run_op_benchmarks(const std::vector<OpCase>& cases, const std::vector<std::string>& arguments, Runtime& runtime);

}  // namespace layercost

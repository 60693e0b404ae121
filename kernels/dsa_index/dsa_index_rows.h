// What:    what the fast variants on a CPU share: who scores which keys of which query when, and the choice.
// Choice:  the least score that is taken is found digit by digit (11, 11 and 10 bits) from counts of the scores' bits,
//          mapped so that they sort as the scores do; then one pass takes what is larger and as many of the equal ones
//          as are left, in ascending order of positions. Nothing is sorted.
// Pieces:  of many queries each is one; of few, parts of a query's keys, and the choices come behind them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/dsa_index/dsa_index.h"

namespace layercost {

// The scores of keys first .. first + count - 1 of query `row` to out[0 .. count - 1]. No two calls at once have the
// same thread.
using IndexScores =
    std::function<void(int thread, std::int64_t row, std::int64_t first, std::int64_t count, float* out)>;
std::unique_ptr<Invocation> index_invocation(const DsaIndexAxes&, const OpTensors&, IndexScores,
                                             const std::string& how);

}  // namespace layercost

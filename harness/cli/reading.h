// What:    result files that are named on the command line, for the commands that show them.
// Errors:  BadInput as read_result(), and for standard input that is asked for twice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

std::vector<ResultFile> read_results(const std::vector<std::string>& files);  // "-": standard input

// BadInput where `out` ("" or "-": standard output) is one of the files: a report can be made again, what was measured
// cannot.
void refuse_to_overwrite(const std::string& out, const std::vector<std::string>& files);

}  // namespace layercost

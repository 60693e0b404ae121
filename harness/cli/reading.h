// What:    result files that are named on the command line, for the commands that show them.
// Errors:  BadInput as read_result(), and for standard input that is asked for twice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

std::vector<ResultFile> read_results(const std::vector<std::string>& files);  // "-": standard input

}  // namespace layercost

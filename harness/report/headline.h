// What:    the sentence of a result that can be quoted alone: dollars for a million new tokens at so many tokens a
//          second for each user, with model, batch, cached tokens, formats, machine, price and its date, and what makes
//          it doubtful. Of the decode point with the lowest cost, one that fits the device before one that does not.
// Errors:  "" where no decode step of a whole model has a price.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/cost/summary.h"
#include "harness/result/record.h"

namespace layercost {

std::string headline_of(const ResultFile& file, const Summary& summary);

}  // namespace layercost

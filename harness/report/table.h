// What:    the table that the terminal shows: machine, price and limits on top, one block per phase and context with
//          the layer kinds on the left and the whole model on the right, then the same layers in other programs where
//          there are any, promised / possible / paid, the same for the layers of each program, then what the words
//          mean. As wide as the terminal, between kLeastWidth and kTableWidth: terminals do not wrap wide tables in a
//          readable way, so that names give way first, then columns in the order that they say (Column::leaves).
// Shapes:  a model has one line per part; the right side of its second line and further ones holds notes (does not fit,
//          labels, reasons), wrapped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "harness/report/report.h"
#include "harness/report/section.h"
#include "harness/result/record.h"

namespace layercost {

// One section of any kind, laid out in the same way, as wide as the options say.
std::string render_section(const Section& section, const ReportOptions& options);

std::string render_table(std::span<const ResultFile> files, const ReportOptions& options);

}  // namespace layercost

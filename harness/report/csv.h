// What:    the data of a report (data.h), for spreadsheets and scripts.
// Shapes:  a header line, then rows; fields quoted as in RFC 4180; lines end in LF.
// Rules:   numbers in full precision, SI units, no thousands separators. What is absent is an empty cell, never 0.
//          A text that begins with = + - or @ gets a ' in front, or a spreadsheet would run it as a formula.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "harness/report/data.h"
#include "harness/report/report.h"
#include "harness/result/record.h"

namespace layercost {

std::string render_csv(std::span<const ResultFile> files, const ReportOptions& options);

std::string csv_of(const Data& data);

// A field of foreign text: stripped, guarded against formulas, quoted where needed.
std::string csv_text(std::string_view text);

}  // namespace layercost

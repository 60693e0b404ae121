// What:    the rows of a report's sections that have a place in the data, for spreadsheets and scripts: one per layer
//          kind, and one with layer_kind "model" for the composition, of every point; where a file has peers, a row for
//          every program below the layer kind it measured, and one with layer_kind "pair" for every pair and program,
//          below the MoE's model. Columns are keys of the sections' columns (section.h), named and explained there;
//          metrics as in cost/metrics.h. New columns are added at the end; a name never changes its meaning.
// Shapes:  a header line, then rows; fields quoted as in RFC 4180; lines end in LF.
// Rules:   numbers in full precision, SI units, no thousands separators. What is absent is an empty cell, never 0.
//          A text that begins with = + - or @ gets a ' in front, or a spreadsheet would run it as a formula.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "harness/report/report.h"
#include "harness/result/record.h"

namespace layercost {

std::string render_csv(std::span<const ResultFile> files, const ReportOptions& options);

// A field of foreign text: stripped, guarded against formulas, quoted where needed.
std::string csv_text(std::string_view text);

}  // namespace layercost

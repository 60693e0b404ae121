// What:    one row per layer kind, and one with layer_kind "model" for the composition, of every point: for
//          spreadsheets and scripts. Columns are named and explained in csv_columns(); metrics as in cost/metrics.h.
//          New columns are added at the end; a name never changes its meaning.
//          Where a file has peers: csv_peer_columns() behind the others, a row for every program below the layer kind
//          it measured, and a row with layer_kind "pair" for every pair and program, below the MoE's model.
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

struct CsvColumn {
  std::string_view name, meaning;   // meaning "": a metric, explained in cost/metrics.h
};
std::span<const CsvColumn> csv_columns();
std::span<const CsvColumn> csv_peer_columns();

// A field of foreign text: stripped, guarded against formulas, quoted where needed.
std::string csv_text(std::string_view text);

}  // namespace layercost

// What:    the formats in which a result can be shown, one row each in report.cpp. A report reads result files and
//          shows what cost/summary.h makes of them: it computes nothing new, runs nothing and needs no device.
//          Adding one: a file with a function like render_table, which walks the sections (section.h), and a row.
// Rules:   several files are shown one after the other (one table in CSV). Absent values are empty, never 0. Text of
//          the files is escaped for the format. What was not measured is shown with its reason.
// Errors:  BadInput for a name or extension that no row has, with the nearest that is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/report/section.h"
#include "harness/report/view.h"
#include "harness/result/record.h"

namespace layercost {

struct ReportFormat {
  std::string_view name;        // "markdown"
  std::string_view other_name;  // "md", or ""
  std::string_view extension;   // ".txt"
  std::string_view about;
  std::string (*render)(std::span<const ResultFile> files, const ReportOptions& options);
  // Sections that are of no one result; null: of results only.
  std::string (*render_sections)(const std::vector<Section>& sections, const ReportOptions& options) = nullptr;
  bool draws = false;  // and takes ReportOptions::viewer
};

std::span<const ReportFormat> report_formats();

enum class FormatOf { results, sections };  // what a command shows; sections of no one result have fewer formats
// "table, markdown or csv", for help texts and messages.
std::string report_format_names(FormatOf of = FormatOf::results);
// By name, "csv".
const ReportFormat& find_report_format(const std::string& name, FormatOf of = FormatOf::results);
// By the end of a path, "out/r.csv". BadInput for one that has none.
const ReportFormat& report_format_of_path(const std::string& path, FormatOf of = FormatOf::results);

// `format`: the name of one that shows sections.
std::string render_sections(const std::vector<Section>& sections, std::string_view format,
                            const ReportOptions& options);

}  // namespace layercost

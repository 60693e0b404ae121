// What:    what run, report and cost write to standard output, and the options that say how.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/cli/out_file.h"
#include "harness/report/report.h"

namespace layercost {

struct ShowOptions {
  std::string format;  // "": a table
  std::string viewer;  // of a page's figures; "": found (figures.h)
  std::string fail_on;
  bool verbose = false, explain = false;
  std::optional<double> min_tok_s_user;
  View view() const { return {verbose, explain, min_tok_s_user}; }
};
void add_show_options(CLI::App&, ShowOptions&);

// The words of --fail-on, as `known` spells them. BadInput for another one, as "unknown <kind>" with the nearest.
std::vector<std::string> fail_on_words(const std::string& text, const std::vector<std::string>& known,
                                       std::string_view kind);
std::vector<std::string> label_names();

std::string format_help(FormatOf);  // of --format
// What --format says, else the file's name, else a table.
const ReportFormat& format_asked(const std::string& name, const OutFile&, FormatOf);

// BadInput for a format or a label that is not known: to be called before anything is measured. `out`: of the report.
void check_show_options(const ShowOptions&, const OutFile& out);
// For a file, in the format that `o` or else its name says.
std::string for_file(std::span<const ResultFile> files, const ShowOptions& o, const OutFile&);
// For standard output: the table as wide as that is.
std::string for_stdout(std::span<const ResultFile> files, const ShowOptions&);
// Whether a part carries a label of --fail-on, told on standard error.
bool fails_on_labels(std::span<const ResultFile> files, const ShowOptions&);

}  // namespace layercost

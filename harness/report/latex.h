// What:    the tables of a report for a paper: one `table` environment with booktabs rules for each, its title as the
//          caption; lists as `description`. To be read by \input; needs \usepackage{booktabs,graphicx,textcomp}.
// Rules:   every character of foreign text that LaTeX reads as a command is escaped. What a Latin font of pdfTeX does
//          not have is written as a command where there is one, else as a question mark. A table that is wider than the
//          line is made to fit it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "harness/report/report.h"
#include "harness/result/record.h"

namespace layercost {

std::string render_latex(std::span<const ResultFile> files, const ReportOptions& options);

// Foreign text as LaTeX that shows that text, on one line.
std::string latex_text(std::string_view text);

}  // namespace layercost

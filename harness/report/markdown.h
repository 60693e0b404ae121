// What:    the same tables as the terminal's, in GitHub-flavoured Markdown, for a README or an issue.
// Rules:   every character of foreign text that Markdown or HTML could read as markup is escaped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "harness/report/report.h"
#include "harness/report/section.h"
#include "harness/result/record.h"

namespace layercost {

std::string render_markdown(std::span<const ResultFile> files, const ReportOptions& options);

// The tables and lists of one section.
std::string markdown_of(const Section& section);

// Foreign text as Markdown that shows exactly that text, on one line.
std::string markdown_text(std::string_view text);

}  // namespace layercost

// What:    a comparison of result files (cost/compare.h) in the formats of reports: which files, then the same work
//          side by side, then what could not be compared and why.
// Shapes:  a file has a letter; a scenario has a row for each of its files. Single layers are shown with detail, or
//          where no whole model can be compared. In data `kind` is "compared" or "not_compared".
// Rules:   as of reports: absent is absent, with the reason; text of the files is escaped for the format.
// Units:   ratios are of the file / of the base: 0.50x is half the time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "harness/cost/compare.h"
#include "harness/report/report.h"
#include "harness/report/section.h"

namespace layercost {

// `names`: of the files, as they were given. `format`: of report.h, by name.
std::string render_comparison(const CompareReport& report, std::span<const ResultFile> files,
                              std::span<const std::string> names, std::string_view format,
                              const ReportOptions& options);

}  // namespace layercost

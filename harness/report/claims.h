// What:    claims held against what is known, in the formats of a report (report.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/cost/claims.h"
#include "harness/report/view.h"

namespace layercost {

// `format`: a name of report_formats(); BadInput for one that is not there.
std::string render_claims(const std::vector<ClaimFinding>& findings, std::string_view format,
                          const ReportOptions& options);

}  // namespace layercost

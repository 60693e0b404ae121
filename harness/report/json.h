// What:    the same rows as CSV has (data.h), for programs: an array of objects, or one object a line.
// Rules:   a value that is absent has no key. Labels are arrays; a text is as the file has it, control characters taken
//          away.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "harness/report/data.h"
#include "harness/report/report.h"
#include "harness/result/record.h"

namespace layercost {

std::string render_json(std::span<const ResultFile> files, const ReportOptions& options);
std::string render_jsonl(std::span<const ResultFile> files, const ReportOptions& options);
std::string json_of(const Data& data);
std::string jsonl_of(const Data& data);

}  // namespace layercost

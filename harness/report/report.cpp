// SPDX-License-Identifier: Apache-2.0
#include "harness/report/report.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <vector>

#include "harness/report/csv.h"
#include "harness/report/markdown.h"
#include "harness/report/table.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr std::array kFormats = {
    ReportFormat{"table", ".txt", "what the terminal shows", render_table},
    ReportFormat{"md", ".md", "Markdown tables, for a README or an issue", render_markdown},
    ReportFormat{"csv", ".csv", "one row per layer kind and per model, for a spreadsheet", render_csv},
};

}  // namespace

std::span<const ReportFormat> report_formats() { return kFormats; }

const ReportFormat& find_report_format(const std::string& name_or_path) {
  const std::string extension = std::filesystem::path(name_or_path).extension().string();
  for (const ReportFormat& format : kFormats) {
    if (format.name == name_or_path || format.extension == (extension.empty() ? name_or_path : extension))
      return format;
  }
  std::vector<std::string> known;
  std::string list;
  for (const ReportFormat& format : kFormats) {
    known.emplace_back(extension.empty() ? format.name : format.extension);
    list += fmt::format("{}{}", list.empty() ? "" : ", ", known.back());
  }
  const std::string& asked = extension.empty() ? name_or_path : extension;
  throw BadInput(
      fmt::format("unknown report format '{}'{}; known are {}", printable(asked), did_you_mean(asked, known), list));
}

}  // namespace layercost

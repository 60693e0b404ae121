// SPDX-License-Identifier: Apache-2.0
#include "harness/report/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <vector>

#include "harness/report/csv.h"
#include "harness/report/html.h"
#include "harness/report/json.h"
#include "harness/report/latex.h"
#include "harness/report/markdown.h"
#include "harness/report/table.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

std::string table_of(const std::vector<Section>& sections, const ReportOptions& options) {
  std::string out;
  for (const Section& section : sections) out += render_section(section, options);
  return out;
}
std::string markdown_of_all(const std::vector<Section>& sections, const ReportOptions&) {
  std::string out;
  for (const Section& section : sections) out += markdown_of(section);
  return out;
}
template <std::string (*kWrite)(const Data&)>
std::string data_text(const std::vector<Section>& sections, const ReportOptions&) {
  return kWrite(data_of(sections));
}

constexpr std::array kFormats = {
    ReportFormat{"table", "", ".txt", "what the terminal shows", render_table, table_of},
    ReportFormat{"markdown", "md", ".md", "Markdown tables, for a README or an issue", render_markdown,
                 markdown_of_all},
    ReportFormat{"html", "", ".html", "one page with figures, for a browser and for paper", render_html, nullptr,
                 true},
    ReportFormat{"latex", "tex", ".tex", "LaTeX tables (booktabs), for a paper", render_latex},
    ReportFormat{"csv", "", ".csv", "one row per layer kind, model and pair, for a spreadsheet", render_csv,
                 data_text<csv_of>},
    ReportFormat{"json", "", ".json", "the same rows as an array of objects", render_json, data_text<json_of>},
    ReportFormat{"jsonl", "", ".jsonl", "the same rows, one object a line", render_jsonl, data_text<jsonl_of>},
};

}  // namespace

std::span<const ReportFormat> report_formats() { return kFormats; }

std::string report_format_names() {
  std::string text;
  for (std::size_t i = 0; i < kFormats.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 < kFormats.size() ? ", " : " or ", kFormats[i].name);
  return text;
}

const ReportFormat& find_report_format(const std::string& name_or_path) {
  const std::string extension = std::filesystem::path(name_or_path).extension().string();
  const bool by_name = extension.empty();
  const std::string& asked = by_name ? name_or_path : extension;
  std::vector<std::string> known;
  for (const ReportFormat& format : kFormats) {
    if (!asked.empty() &&
        (asked == format.extension || (by_name && (asked == format.name || asked == format.other_name))))
      return format;
    known.emplace_back(by_name ? format.name : format.extension);
  }
  throw BadInput(fmt::format("unknown report format '{}'{}; known are {}", printable(asked), did_you_mean(asked, known),
                             fmt::join(known, ", ")));
}

std::string render_sections(const std::vector<Section>& sections, std::string_view format, const ReportOptions& options,
                            std::string_view what) {
  std::vector<std::string_view> known;
  for (const ReportFormat& row : kFormats) {
    if (row.render_sections == nullptr) continue;
    if (row.name == format) return row.render_sections(sections, options);
    known.push_back(row.name);
  }
  throw BadInput(
      fmt::format("{}: not as {}; known are {}", what, printable(std::string(format)), fmt::join(known, ", ")));
}

}  // namespace layercost

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

std::vector<const ReportFormat*> formats_of(FormatOf of) {
  std::vector<const ReportFormat*> all;
  for (const ReportFormat& format : kFormats)
    if (of == FormatOf::results || format.render_sections != nullptr) all.push_back(&format);
  return all;
}

}  // namespace

std::span<const ReportFormat> report_formats() { return kFormats; }

std::string report_format_names(FormatOf of) {
  const auto formats = formats_of(of);
  std::string text;
  for (std::size_t i = 0; i < formats.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : i + 1 < formats.size() ? ", " : " or ", formats[i]->name);
  return text;
}

const ReportFormat& find_report_format(const std::string& name, FormatOf of) {
  std::vector<std::string> known;
  for (const ReportFormat* format : formats_of(of)) {
    if (!name.empty() && (name == format->name || name == format->other_name || name == format->extension))
      return *format;
    known.emplace_back(format->name);
  }
  throw BadInput(fmt::format("--format: '{}' is no format of this command{}; known are {}", printable(name),
                             did_you_mean(name, known), fmt::join(known, ", ")));
}

const ReportFormat& report_format_of_path(const std::string& path, FormatOf of) {
  const std::string extension = std::filesystem::path(path).extension().string();
  std::vector<std::string> known;
  for (const ReportFormat* format : formats_of(of)) {
    if (extension == format->extension) return *format;
    known.emplace_back(format->extension);
  }
  const std::string what =
      extension.empty() ? "has no extension, which would say the format"
                        : fmt::format("'{}' is no format of this command{}", printable(extension),
                                      did_you_mean(extension, known));
  throw BadInput(
      fmt::format("-o: {}: {}; known are {}, or give --format", printable(path), what, fmt::join(known, ", ")));
}

std::string render_sections(const std::vector<Section>& sections, std::string_view format,
                            const ReportOptions& options) {
  return find_report_format(std::string(format), FormatOf::sections).render_sections(sections, options);
}

}  // namespace layercost

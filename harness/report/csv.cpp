// SPDX-License-Identifier: Apache-2.0
#include "harness/report/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "harness/report/data.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr std::size_t kMostChars = 5000;  // of a field

// Plain ASCII that means nothing to a spreadsheet, which nearly all words are.
bool is_harmless(std::string_view text) {
  return text.size() <= kMostChars && (text.empty() || std::isalnum(static_cast<unsigned char>(text[0])) != 0) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~' && c != ',' && c != '"'; });
}

}  // namespace

std::string csv_text(std::string_view text) {
  if (is_harmless(text)) return std::string(text);
  std::string out = plain(text, kMostChars);
  // Spreadsheets skip blanks before they look for a formula.
  constexpr std::string_view kFormula = "=+-@";
  const std::size_t first = out.find_first_not_of(' ');
  if (first != std::string::npos && kFormula.find(out[first]) != std::string_view::npos) out.insert(out.begin(), '\'');
  // Line breaks became '?' in plain(); leading and trailing spaces survive only in quotes.
  if (out.find_first_of(",\"\n\r") == std::string::npos && !out.starts_with(' ') && !out.ends_with(' ')) return out;
  std::string quoted = "\"";
  for (const char c : out) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

namespace {

std::string field(const DataValue& value) {
  struct Field {
    std::string operator()(const std::string& text) const { return csv_text(text); }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return fmt::format("{}", value); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const std::vector<std::string>& words) const {
      std::string text;
      for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
      return csv_text(text);
    }
  };
  return std::visit(Field{}, value);
}

}  // namespace

std::string render_csv(std::span<const ResultFile> files, const ReportOptions&) { return csv_of(data_of(files)); }

std::string csv_of(const Data& data) {
  std::string out;
  for (const DataColumn& column : data.columns) out += (out.empty() ? "" : ",") + column.key;
  out += "\n";
  for (const DataRow& row : data.rows) {
    for (std::size_t c = 0; c < data.columns.size(); ++c) {
      if (c > 0) out += ',';
      if (const DataValue* value = row.at(c)) out += field(*value);
    }
    out += "\n";
  }
  return out;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "harness/report/section.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// Columns stand in the order in which they came into the format, so that a place never changes; one that is not listed
// follows, in the order of the sections.
constexpr std::array<std::string_view, 40> kOrder = {"model",
                                                     "layer_kind",
                                                     "phase",
                                                     "batch",
                                                     "context",
                                                     "tokens",
                                                     "weight_type",
                                                     "activation_type",
                                                     "kv_type",
                                                     "device",
                                                     "routing",
                                                     "time_s",
                                                     "tokens_per_s",
                                                     "possible_fraction",
                                                     "memory_required_bytes",
                                                     "fits",
                                                     "usd_per_mtok",
                                                     "state",
                                                     "time_low_s",
                                                     "time_high_s",
                                                     "labels",
                                                     "price_id",
                                                     "note",
                                                     "why",
                                                     "layer_count",
                                                     "device_name",
                                                     "measured_at",
                                                     "schema_version",
                                                     "nominal_fraction",
                                                     "implementation",
                                                     "pair_dense",
                                                     "paired_rounds",
                                                     "peer_ratio",
                                                     "peer_ratio_low",
                                                     "peer_ratio_high",
                                                     "promised_ratio",
                                                     "layers_possible_ratio",
                                                     "layers_paid_ratio",
                                                     "layers_paid_ratio_low",
                                                     "layers_paid_ratio_high"};

struct DataRow {
  Place place;
  std::map<std::string, std::string> fields;
};
struct DataColumn {
  std::string key, otherwise;
  bool if_any = false;
};

std::string number(double value) { return fmt::format("{}", value); }

template <typename T>
std::string words(const std::vector<T>& labels) {
  std::string text;
  for (const T label : labels) text += (text.empty() ? "" : " ") + std::string(to_string(label));
  return csv_text(text);
}

std::string field(const TableCell& cell) {
  struct Field {
    std::string operator()(const Absent&) const { return ""; }
    std::string operator()(const std::string& text) const { return csv_text(text); }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const Number& n) const { return number(n.value); }
    std::string operator()(const std::vector<Label>& labels) const { return words(labels); }
    std::string operator()(const std::vector<PriceLabel>& labels) const { return words(labels); }
    std::string operator()(const Bar&) const { return ""; }
  };
  return std::visit(Field{}, cell.value);
}

void add_cell(DataRow& row, const Column& column, const TableCell& cell) {
  if (!column.key.empty()) row.fields[column.key] = field(cell);
  const Number* n = std::get_if<Number>(&cell.value);
  if (column.low_key.empty() || n == nullptr || !n->interval) return;
  row.fields[column.low_key] = number(n->interval->low);
  row.fields[column.high_key] = number(n->interval->high);
}

// The rows of one file in their places, and its columns behind those that other files have brought.
std::vector<DataRow> rows_of(const std::vector<Section>& sections, std::vector<DataColumn>& columns) {
  const auto add_column = [&](const std::string& key, const Column& column) {
    if (key.empty()) return;
    const auto known = std::find_if(columns.begin(), columns.end(), [&](const DataColumn& c) { return c.key == key; });
    if (known == columns.end()) columns.push_back({key, column.otherwise, column.if_any});
  };
  std::vector<DataRow> rows;
  for (const Section& section : sections)
    for (const Table& table : section.tables) {
      for (const Panel& panel : table.panels)
        for (const Column& column : panel.columns)
          for (const std::string& key : {column.key, column.low_key, column.high_key}) add_column(key, column);
      for (const Group& group : table.groups)
        for (const Entry& entry : group.entries)
          for (std::size_t p = 0; p < entry.panels.size(); ++p)
            for (const Row& row : entry.panels[p]) {
              if (!row.place) continue;
              DataRow& data = rows.emplace_back(DataRow{*row.place, {}});
              for (std::size_t c = 0; c < row.cells.size(); ++c)
                add_cell(data, table.panels[p].columns[c], row.cells[c]);
            }
    }
  std::stable_sort(rows.begin(), rows.end(), [](const DataRow& a, const DataRow& b) { return a.place < b.place; });
  return rows;
}

}  // namespace

std::string csv_text(std::string_view text) {
  std::string out = plain(text, 5000);
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

std::string render_csv(std::span<const ResultFile> files, const ReportOptions&) {
  std::vector<DataColumn> columns;
  std::vector<DataRow> rows;
  for (const ResultFile& file : files)
    for (DataRow& row : rows_of(sections_of(file), columns)) rows.push_back(std::move(row));
  if (columns.empty()) rows_of(sections_of({}), columns);  // no file: the head alone
  const auto place = [](const DataColumn& c) {
    return std::find(kOrder.begin(), kOrder.end(), c.key) - kOrder.begin();
  };
  std::stable_sort(columns.begin(), columns.end(),
                   [&](const DataColumn& a, const DataColumn& b) { return place(a) < place(b); });
  std::erase_if(columns, [&](const DataColumn& column) {
    return column.if_any && std::none_of(rows.begin(), rows.end(), [&](const DataRow& row) {
             const auto found = row.fields.find(column.key);
             return found != row.fields.end() && !found->second.empty();
           });
  });
  std::string out;
  for (const DataColumn& column : columns) out += (out.empty() ? "" : ",") + column.key;
  out += "\n";
  for (const DataRow& row : rows) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto found = row.fields.find(columns[c].key);
      out += (c == 0 ? "" : ",") + (found != row.fields.end() ? found->second : csv_text(columns[c].otherwise));
    }
    out += "\n";
  }
  return out;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <utility>
#include <vector>

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
  std::vector<std::optional<std::string>> fields;  // by the column's place in Data; shorter if the last are missing
};
struct DataColumn {
  std::string key, otherwise;
  bool if_any = false;
};
struct Data {
  std::vector<DataColumn> columns;
  std::map<std::string, std::size_t> places;  // of columns, by key
  std::vector<DataRow> rows;
};

constexpr std::size_t kMostChars = 5000;  // of a field

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

// Where a panel's column goes; kNowhere without a key.
constexpr std::size_t kNowhere = SIZE_MAX;
struct Goal {
  std::size_t value = kNowhere, low = kNowhere, high = kNowhere;
};

std::vector<Goal> goals_of(const Columns& columns, Data& data) {
  const auto place_of = [&](const std::string& key, const Column& column) {
    if (key.empty()) return kNowhere;
    const auto [known, is_new] = data.places.try_emplace(key, data.columns.size());
    if (is_new) data.columns.push_back({key, column.otherwise, column.if_any});
    return known->second;
  };
  std::vector<Goal> goals;
  for (const Column& c : columns) {
    Goal& goal = goals.emplace_back();
    goal.value = place_of(c.key, c);
    goal.low = place_of(c.low_key, c);
    goal.high = place_of(c.high_key, c);
  }
  return goals;
}

void add_cell(DataRow& row, const Goal& goal, const TableCell& cell) {
  if (goal.value != kNowhere) row.fields[goal.value] = field(cell);
  const Number* n = std::get_if<Number>(&cell.value);
  if (goal.low == kNowhere || n == nullptr || !n->interval) return;
  row.fields[goal.low] = number(n->interval->low);
  row.fields[goal.high] = number(n->interval->high);
}

// The rows of one file in their places, and its columns behind those that other files have brought.
void add_rows(const std::vector<Section>& sections, Data& data) {
  const std::size_t before = data.rows.size();
  std::map<const Column*, std::vector<Goal>> goals;  // of columns that tables share; they live as long as `sections`
  for (const Section& section : sections)
    for (const Table& table : section.tables) {
      for (const Panel& panel : table.panels)
        if (const auto [at, fresh] = goals.try_emplace(panel.columns.data()); fresh)
          at->second = goals_of(panel.columns, data);
      for (const Group& group : table.groups)
        for (const Entry& entry : group.entries)
          for (std::size_t p = 0; p < entry.panels.size(); ++p)
            for (const Row& row : entry.panels[p]) {
              if (!row.place) continue;
              const std::vector<Goal>& to = goals.at(table.panels[p].columns.data());
              DataRow& of_row = data.rows.emplace_back(DataRow{*row.place, {}});
              of_row.fields.resize(data.columns.size());
              for (std::size_t c = 0; c < row.cells.size(); ++c) add_cell(of_row, to[c], row.cells[c]);
            }
    }
  std::stable_sort(data.rows.begin() + static_cast<std::ptrdiff_t>(before), data.rows.end(),
                   [](const DataRow& a, const DataRow& b) { return a.place < b.place; });
}

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

std::string render_csv(std::span<const ResultFile> files, const ReportOptions&) {
  Data data;
  for (const ResultFile& file : files) add_rows(sections_of(file), data);
  if (data.columns.empty()) add_rows(sections_of({}), data);  // no file: the head alone
  const auto field_at = [](const DataRow& row, std::size_t column) -> const std::optional<std::string>& {
    static const std::optional<std::string> kNone;
    return column < row.fields.size() ? row.fields[column] : kNone;
  };
  std::vector<std::size_t> shown;
  for (std::size_t c = 0; c < data.columns.size(); ++c)
    if (!data.columns[c].if_any || std::any_of(data.rows.begin(), data.rows.end(), [&](const DataRow& row) {
          return !field_at(row, c).value_or("").empty();
        }))
      shown.push_back(c);
  const auto order = [&](std::size_t c) {
    return std::find(kOrder.begin(), kOrder.end(), data.columns[c].key) - kOrder.begin();
  };
  std::stable_sort(shown.begin(), shown.end(), [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
  std::string out;
  for (const std::size_t c : shown) out += (out.empty() ? "" : ",") + data.columns[c].key;
  out += "\n";
  for (const DataRow& row : data.rows) {
    for (const std::size_t c : shown) {
      if (c != shown.front()) out += ',';
      const std::optional<std::string>& field = field_at(row, c);
      out += field ? *field : csv_text(data.columns[c].otherwise);
    }
    out += "\n";
  }
  return out;
}

}  // namespace layercost

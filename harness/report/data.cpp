// SPDX-License-Identifier: Apache-2.0
#include "harness/report/data.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "harness/result/labels.h"

namespace layercost {
namespace {

// Columns stand in the order in which they came into the format, so that a place never changes; one that is not listed
// follows, in the order of the sections.
constexpr std::array<std::string_view, 50> kOrder = {"model",
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
                                                     "layers_paid_ratio_high",
                                                     "kind",
                                                     "run_id",
                                                     "commit",
                                                     "threads",
                                                     "rounds",
                                                     "usd_per_hour",
                                                     "possible_ratio",
                                                     "paid_ratio",
                                                     "paid_ratio_low",
                                                     "paid_ratio_high"};

template <typename T>
std::vector<std::string> words(const std::vector<T>& labels) {
  std::vector<std::string> all;
  for (const T label : labels) all.emplace_back(to_string(label));
  return all;
}

std::optional<DataValue> value_of(const TableCell& cell) {
  struct Value {
    std::optional<DataValue> operator()(const Absent&) const { return std::nullopt; }
    std::optional<DataValue> operator()(const std::string& text) const { return text; }
    std::optional<DataValue> operator()(std::int64_t value) const { return value; }
    std::optional<DataValue> operator()(bool value) const { return value; }
    std::optional<DataValue> operator()(const Number& n) const { return n.value; }
    std::optional<DataValue> operator()(const std::vector<Label>& labels) const { return words(labels); }
    std::optional<DataValue> operator()(const std::vector<PriceLabel>& labels) const { return words(labels); }
    std::optional<DataValue> operator()(const Bar&) const { return std::nullopt; }
  };
  return std::visit(Value{}, cell.value);
}

bool is_empty(const DataValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->empty();
  if (const auto* words = std::get_if<std::vector<std::string>>(&value)) return words->empty();
  return false;
}

// Where a panel's column goes; kNowhere without a key.
constexpr std::size_t kNowhere = SIZE_MAX;
struct Goal {
  std::size_t value = kNowhere, low = kNowhere, high = kNowhere;
};

// Columns by key, while they come.
struct Gathered {
  Data data;
  std::map<std::string, std::size_t> places;
};

std::vector<Goal> goals_of(const Columns& columns, Gathered& to) {
  Data& data = to.data;
  const auto place_of = [&](const std::string& key, const Column& column) {
    if (key.empty()) return kNowhere;
    const auto [known, is_new] = to.places.try_emplace(key, data.columns.size());
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
  if (goal.value != kNowhere) {
    row.has[goal.value] = true;
    row.values[goal.value] = value_of(cell);
  }
  const Number* n = std::get_if<Number>(&cell.value);
  if (goal.low == kNowhere || n == nullptr || !n->interval) return;
  row.values[goal.low] = n->interval->low;
  row.values[goal.high] = n->interval->high;
}

// The rows of one file in their places, and its columns behind those that other files have brought.
void add_rows(const std::vector<Section>& sections, Gathered& to) {
  Data& data = to.data;
  const std::size_t before = data.rows.size();
  std::map<const Column*, std::vector<Goal>> goals;  // of columns that tables share; they live as long as `sections`
  for (const Section& section : sections)
    for (const Table& table : section.tables) {
      for (const Panel& panel : table.panels)
        if (const auto [at, fresh] = goals.try_emplace(panel.columns.data()); fresh)
          at->second = goals_of(panel.columns, to);
      for (const Group& group : table.groups)
        for (const Entry& entry : group.entries)
          for (std::size_t p = 0; p < entry.panels.size(); ++p)
            for (const Row& row : entry.panels[p]) {
              if (!row.place) continue;
              const std::vector<Goal>& places = goals.at(table.panels[p].columns.data());
              DataRow& of_row = data.rows.emplace_back(DataRow{*row.place});
              of_row.values.resize(data.columns.size());
              of_row.has.resize(data.columns.size());
              for (std::size_t c = 0; c < row.cells.size(); ++c) add_cell(of_row, places[c], row.cells[c]);
            }
    }
  std::stable_sort(data.rows.begin() + static_cast<std::ptrdiff_t>(before), data.rows.end(),
                   [](const DataRow& a, const DataRow& b) { return a.place < b.place; });
}

// Those that are shown, in their order.
std::vector<std::size_t> shown_columns(const Data& data) {
  std::vector<std::size_t> shown;
  for (std::size_t c = 0; c < data.columns.size(); ++c)
    if (!data.columns[c].if_any || std::any_of(data.rows.begin(), data.rows.end(), [&](const DataRow& row) {
          return row.at(c) != nullptr && !is_empty(*row.at(c));
        }))
      shown.push_back(c);
  const auto order = [&](std::size_t c) {
    return std::find(kOrder.begin(), kOrder.end(), data.columns[c].key) - kOrder.begin();
  };
  std::stable_sort(shown.begin(), shown.end(), [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
  return shown;
}

// The columns that are shown, in their order.
Data finished(Gathered gathered) {
  Data out;
  const std::vector<std::size_t> shown = shown_columns(gathered.data);
  for (const std::size_t c : shown) out.columns.push_back(std::move(gathered.data.columns[c]));
  for (DataRow& row : gathered.data.rows) {
    DataRow& to = out.rows.emplace_back(DataRow{row.place});
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const bool has = shown[i] < row.has.size() && row.has[shown[i]];
      const std::string& otherwise = out.columns[i].otherwise;
      if (row.at(shown[i]) != nullptr) to.values.push_back(std::move(row.values[shown[i]]));
      else if (!has && !otherwise.empty()) to.values.emplace_back(otherwise);
      else to.values.emplace_back();
    }
  }
  return out;
}

}  // namespace

Data data_of(std::span<const ResultFile> files) {
  Gathered gathered;
  for (const ResultFile& file : files) add_rows(sections_of(file), gathered);
  if (gathered.data.columns.empty()) add_rows(sections_of({}), gathered);  // no file: the head alone
  return finished(std::move(gathered));
}

Data data_of(const std::vector<Section>& sections) {
  Gathered gathered;
  add_rows(sections, gathered);
  return finished(std::move(gathered));
}

}  // namespace layercost

// Dense models that nobody trained, of q times a mixture's active parameters: what each pays, and from which q on the
// mixture is cheaper.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/twins.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/spec/part_name.h"

namespace layercost {
namespace {

struct Subject {
  const TwinRow& row;
};

const std::vector<ColumnOf<Subject>>& step_columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {{.title = "MoE", .align = Align::left},
       [](const Subject& s) {
         return text_cell(joined({plain(s.row.model, 80), types_text(s.row), routing_text(s.row.routing)}, ", "));
       }},
      {{.title = "phase", .align = Align::left}, [](const Subject& s) { return text_cell(plain(s.row.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 5, .gap = 3},
       [](const Subject& s) { return TableCell{s.row.batch}; }},
      {{.title = "context", .head = "context", .width = 8}, [](const Subject& s) { return TableCell{s.row.context}; }},
  };
  return all;
}

const std::vector<ColumnOf<Subject>>& isoline_columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {{.key = "isoline_q",
        .low_key = "isoline_q_low",
        .high_key = "isoline_q_high",
        .title = "cheaper above q",
        .over = "the MoE is",
        .head = "cheaper from q",
        .width = 14,
        .form = Form::number,
        .strong = true,
        .if_any = true},
       [](const Subject& s) {
         if (!s.row.isoline) return TableCell{};
         return s.row.isoline->q ? number_cell(s.row.isoline->q, s.row.isoline->interval)
                                 : TableCell{Absent{isoline_text(*s.row.isoline), ""}};
       }},
      {{.title = "95 % interval", .head = "95 % interval", .width = 14, .gap = 2, .form = Form::range, .leaves = 2},
       [](const Subject& s) {
         return s.row.isoline ? number_cell(s.row.isoline->q, s.row.isoline->interval) : TableCell{};
       }},
      {{.key = "isoline_kind",
        .meaning = "of an isoline row: between two twins; from_smallest: the MoE is cheaper than all of them; "
                   "not_reached: than none",
        .if_any = true},
       [](const Subject& s) {
         return s.row.isoline ? text_cell(std::string(to_string(s.row.isoline->kind))) : TableCell{};
       }},
  };
  return all;
}

// All twins of the table, by their size.
std::vector<std::string> changes_of(const std::vector<TwinRow>& rows) {
  std::vector<std::string> all;
  for (const TwinRow& row : rows)
    for (const TwinSize& size : row.sizes)
      if (std::find(all.begin(), all.end(), size.change) == all.end()) all.push_back(size.change);
  std::stable_sort(all.begin(), all.end(),
                   [](const std::string& a, const std::string& b) { return *twin_size(a) < *twin_size(b); });
  return all;
}

std::vector<Column> columns_for(const std::vector<std::string>& changes) {
  constexpr std::size_t kAlways = 3;
  std::vector<Column> all = columns_of(step_columns());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Column column;
    column.title = column.head = fmt::format("q {}", *twin_size(changes[i]));
    column.width = std::max<std::size_t>(7, column.head.size());
    column.form = Form::times;
    column.leaves = i < kAlways ? 0 : 3 + static_cast<int>(changes.size() - i);
    all.push_back(std::move(column));
  }
  for (Column& column : columns_of(isoline_columns())) all.push_back(std::move(column));
  return all;
}

std::vector<TableCell> cells_for(const TwinRow& row, const std::vector<std::string>& changes) {
  std::vector<TableCell> all = cells_of(step_columns(), {row});
  for (const std::string& change : changes) {
    const auto size =
        std::find_if(row.sizes.begin(), row.sizes.end(), [&](const TwinSize& s) { return s.change == change; });
    all.push_back(size == row.sizes.end() ? TableCell{} : ratio_cell(size->paid));  // why: the pairs' table
  }
  for (TableCell& cell : cells_of(isoline_columns(), {row})) all.push_back(std::move(cell));
  return all;
}

// "q 1 is 0.9959, q 2 is 1.989": what the widths allow.
std::string reached_text(const TwinRow& row) {
  std::string text;
  for (const TwinSize& size : row.sizes)
    if (size.q) text += fmt::format("{}q {} is {:.4g}", text.empty() ? "" : ", ", *twin_size(size.change), *size.q);
  return text.empty() ? "" : text + " as reached";
}

}  // namespace

std::string isoline_text(const Isoline& line) {
  switch (line.kind) {
    case CrossoverKind::between:
      return digits(*line.q, 2);
    case CrossoverKind::from_smallest:
      return "below " + digits(line.below);
    case CrossoverKind::not_reached:
      return "above " + digits(line.above);
  }
  return "";
}

Section twins_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  section.leads = 1;
  const std::vector<std::string> changes = changes_of(summary.twins);
  Table table;
  table.title = "Against dense models that nobody trained";
  table.about = "cost of one with q times the active parameters / cost of the MoE";
  table.panels.push_back({.columns = behind_identity(columns_for(changes)), .tail = 0});
  table.shown = !summary.twins.empty();
  const TwinRow* first = nullptr;
  for (const TwinRow& row : summary.twins) {
    if (first == nullptr || first->phase != row.phase || first->model != row.model || !same_but_step(*first, row)) {
      first = &row;
      table.groups.push_back({plain(row.model, 80) + " · " + plain(row.phase, 20),
                              joined({types_text(row), routing_text(row.routing)}, " · ")});
      if (std::string reached = reached_text(row); !reached.empty())
        table.groups.back().sentences.push_back(std::move(reached));
    }
    const auto [point, place] = place_of(row, summary, 2);
    std::vector<TableCell> cells = identity_cells(file, *point, "isoline");
    for (TableCell& cell : cells_for(row, changes)) cells.push_back(std::move(cell));
    table.groups.back().entries.push_back({{{{std::move(cells), place}}}});
  }
  if (!table.groups.empty())
    table.groups.back().sentences.push_back(
        "How large a dense model has to be to answer as well is not measured: set q to what you believe, and where it "
        "lies above the last column the MoE is the cheaper one");
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

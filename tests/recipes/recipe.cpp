// How many rows the KV cache holds at each point: shown, and a row of data behind the whole model's.
// SPDX-License-Identifier: Apache-2.0
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

const std::vector<ColumnOf<ModelRow>>& columns() {
  static const std::vector<ColumnOf<ModelRow>> all = {
      {{.title = "model", .head = "model", .width = 20, .most = 40, .align = Align::left},
       [](const ModelRow& r) { return text_cell(plain(r.model, 80)); }},
      {{.key = "recipe_cached_rows",
        .meaning = "sequences x tokens cached of each",
        .title = "cached rows",
        .head = "cached rows",
        .width = 12},
       [](const ModelRow& r) { return TableCell{r.batch * r.context}; }},
  };
  return all;
}

}  // namespace

Section recipe_section(const ResultFile& file, const Summary& summary, const View&) {
  Table table{.title = "Recipe section", .about = "rows of the cache"};
  table.panels.push_back({.columns = behind_identity(columns_of(columns())), .tail = 0});
  Group group;
  for (std::size_t point = 0; point < summary.models.size(); ++point) {
    Row row{identity_cells(file, summary.models[point], "recipe"), Place{point, kWholeModel, 1}};
    for (TableCell& cell : cells_of(columns(), summary.models[point])) row.cells.push_back(std::move(cell));
    group.entries.push_back({{{std::move(row)}}});
  }
  table.groups.push_back(std::move(group));
  return {.tables = {std::move(table)}};
}

}  // namespace layercost

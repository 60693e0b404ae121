// Whether the layers of a stack add up: its time over its depth, against a straight line.
// SPDX-License-Identifier: Apache-2.0
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

const std::vector<ColumnOf<DepthRow>>& columns() {
  static const std::vector<ColumnOf<DepthRow>> all = {
      {{.title = "model", .head = "model", .width = 10, .most = 30, .gap = 3, .align = Align::left, .shrinks = true},
       [](const DepthRow& r) { return text_cell(plain(r.model, 80)); }},
      {{.title = "layers", .head = "layers", .width = 8, .most = 20, .align = Align::left},
       [](const DepthRow& r) { return text_cell(plain(r.kind, 60)); }},
      {{.title = "phase", .head = "phase", .width = 7, .align = Align::left, .leaves = 3},
       [](const DepthRow& r) { return text_cell(plain(r.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const DepthRow& r) { return TableCell{r.batch}; }},
      {{.title = "overhead", .head = "overhead", .width = 9, .form = Form::time, .leaves = 1},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->overhead_s) : TableCell{}; }},
      {{.title = "one layer", .head = "one layer", .width = 9, .form = Form::time},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->layer_s) : TableCell{}; }},
      {{.title = "residual", .head = "residual", .width = 8, .form = Form::percent, .leaves = 2},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->residual) : TableCell{}; }},
      {{.title = "adds up", .head = "adds up", .width = 23, .gap = 2, .align = Align::left},
       [](const DepthRow& r) {
         return text_cell(!r.fit || !r.fit->residual ? "too few depths"
                          : r.fit->additive()        ? "yes"
                                                     : "NO, the sum is withheld");
       }},
  };
  return all;
}

}  // namespace

Section depths_section(const ResultFile&, const Summary& summary, const View&) {
  Section section;
  if (summary.depths.empty()) return section;
  Table table;
  table.title = "How layers add up";
  table.about = "time of a stack = overhead + depth × one layer";
  table.panels.push_back({.columns = columns_of(columns()), .tail = 0});
  Group group;
  for (const DepthRow& row : summary.depths) group.entries.push_back({{{{cells_of(columns(), row)}}}});
  table.groups.push_back(std::move(group));
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

// Whether the layers of a stack add up: its time over its depth, against a straight line.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

constexpr const char* kTooFew = "too few depths";

const std::vector<ColumnOf<DepthRow>>& columns() {
  static const std::vector<ColumnOf<DepthRow>> all = {
      {{.title = "model", .head = "model", .width = 10, .most = 30, .gap = 3, .align = Align::left, .shrinks = true},
       [](const DepthRow& r) { return text_cell(plain(r.model, 80)); }},
      {{.title = "layers", .head = "layers", .width = 8, .most = 20, .align = Align::left},
       [](const DepthRow& r) { return text_cell(plain(r.kind, 60)); }},
      {{.title = "phase", .head = "phase", .width = 7, .align = Align::left, .leaves = 3},
       [](const DepthRow& r) { return text_cell(plain(r.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const DepthRow& r) { return TableCell{r.batch}; }},
      {{.key = "state"},
       [](const DepthRow& r) {
         return text_cell(std::string(to_string(r.fit ? Outcome::measured : Outcome::skipped)));
       }},
      {{.key = "why"}, [](const DepthRow& r) { return text_cell(r.fit ? "" : kTooFew); }},
      {{.key = "depths", .meaning = "of a depth row: layers of the stacks, separated by spaces"},
       [](const DepthRow& r) { return text_cell(fmt::format("{}", fmt::join(r.depths, " "))); }},
      {{.key = "overhead_s", .title = "overhead", .head = "overhead", .width = 9, .form = Form::time, .leaves = 1},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->overhead_s) : TableCell{}; }},
      {{.key = "layer_s", .title = "one layer", .head = "one layer", .width = 9, .form = Form::time},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->layer_s) : TableCell{}; }},
      {{.key = "depth_residual_fraction",
        .title = "residual",
        .head = "residual",
        .width = 8,
        .form = Form::percent,
        .leaves = 2},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->residual) : TableCell{}; }},
      {{.key = "depth_spread_fraction"},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->spread) : TableCell{}; }},
      {{.key = "depth_off_layer_fraction"},
       [](const DepthRow& r) { return r.fit ? number_cell(r.fit->off_layer) : TableCell{}; }},
      {{.key = "adds_up", .meaning = "of a depth row: whether layers are added up; absent with too few depths"},
       [](const DepthRow& r) { return r.fit && r.fit->residual ? TableCell{r.fit->additive()} : TableCell{}; }},
      {{.title = "adds up", .head = "adds up", .width = 23, .gap = 2, .align = Align::left},
       [](const DepthRow& r) {
         return text_cell(!r.fit || !r.fit->residual ? kTooFew : r.fit->additive() ? "yes" : "NO, the sum is withheld");
       }},
  };
  return all;
}

// Behind the point's whole model and its pairs; none where the file has no such point.
Row row_of(const DepthRow& depth, const ResultFile& file, const Summary& summary) {
  const auto point = std::find_if(summary.models.begin(), summary.models.end(),
                                  [&](const ModelRow& model) { return same_scenario(model, depth); });
  const bool known = point != summary.models.end();
  Row row{identity_cells(file, known ? *point : ModelRow{}, depth.kind, "depth")};
  if (known) row.place = Place{static_cast<std::size_t>(point - summary.models.begin()), kWholeModel, 2};
  for (TableCell& cell : cells_of(columns(), depth)) row.cells.push_back(std::move(cell));
  return row;
}

}  // namespace

Section depths_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  if (summary.depths.empty()) return section;
  Table table;
  table.title = "How layers add up";
  table.about = "time of a stack = overhead + depth × one layer";
  table.panels.push_back({.columns = behind_identity(columns_of(columns())), .tail = 0});
  Group group;
  for (const DepthRow& depth : summary.depths) group.entries.push_back({{{row_of(depth, file, summary)}}});
  table.groups.push_back(std::move(group));
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

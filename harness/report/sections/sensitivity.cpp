// What the headline becomes if less of the paid hours is used, or an hour costs more or less.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cost/frontier.h"
#include "harness/cost/token_cost.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

struct Subject {
  const ModelRow& model;
  double use;  // of the paid hours, in usd_per_mtok
};

// Money is exactly proportional to the price, and to one over the use.
TableCell money(const Subject& s, double factor) {
  return number_cell(*s.model.usd_per_mtok * factor, {},
                     relative_half_width(s.model.usd_per_mtok, s.model.usd_per_mtok_interval));
}
template <int kPercent>
TableCell at_use(const Subject& s) {
  return money(s, 100 * s.use / kPercent);
}

const std::vector<ColumnOf<Subject>>& columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {{.title = "model", .head = "model", .width = 10, .most = 30, .gap = 3, .align = Align::left, .shrinks = true},
       [](const Subject& s) { return text_cell(plain(s.model.model, 80)); }},
      {{.title = "batch", .head = "batch", .width = 6, .leaves = 3},
       [](const Subject& s) { return TableCell{s.model.batch}; }},
      {{.key = "usd_per_mtok_at_full_use",
        .title = "100 % used",
        .over = "100 %",
        .head = "used",
        .width = 8,
        .form = Form::number,
        .strong = true,
        .if_any = true},
       at_use<100>},
      {{.key = "usd_per_mtok_at_half_use",
        .title = "50 % used",
        .over = "50 %",
        .head = "used",
        .width = 8,
        .form = Form::number,
        .if_any = true},
       at_use<50>},
      {{.key = "usd_per_mtok_at_quarter_use",
        .title = "25 % used",
        .over = "25 %",
        .head = "used",
        .width = 8,
        .form = Form::number,
        .leaves = 1,
        .if_any = true},
       at_use<25>},
      {{.key = "usd_per_mtok_at_tenth_use",
        .title = "10 % used",
        .over = "10 %",
        .head = "used",
        .width = 8,
        .form = Form::number,
        .if_any = true},
       at_use<10>},
      {{.key = "usd_per_mtok_at_half_price",
        .title = "half the price",
        .over = "half the",
        .head = "price",
        .width = 9,
        .form = Form::number,
        .leaves = 2,
        .if_any = true},
       [](const Subject& s) { return money(s, 0.5); }},
      {{.key = "usd_per_mtok_at_twice_price",
        .title = "twice the price",
        .over = "twice the",
        .head = "price",
        .width = 10,
        .form = Form::number,
        .if_any = true},
       [](const Subject& s) { return money(s, 2); }},
  };
  return all;
}

}  // namespace

Section sensitivity_section(const ResultFile& file, const Summary& summary, const View& view) {
  Section section;
  if (!file.price || !view.detail) return section;
  Table table;
  table.title = "If less is used, or the price moves";
  const double use = file.price->utilisation.value_or(kUtilisationFloor);
  table.about =
      fmt::format("$ per Mtok out at each model's cheapest batch; the prices at {:.4g} % of the hours used", 100 * use);
  table.panels.push_back({.columns = behind_identity(columns_of(columns())), .tail = 0});
  Group group;
  for (const Frontier& frontier : frontiers(summary)) {
    const ModelRow* best = frontier.points.front();
    for (const ModelRow* point : frontier.points)
      if (point->usd_per_mtok && *point->usd_per_mtok < *best->usd_per_mtok) best = point;
    std::vector<TableCell> cells = identity_cells(file, *best, "sensitivity");
    for (TableCell& cell : cells_of(columns(), {*best, use})) cells.push_back(std::move(cell));
    const auto point = static_cast<std::size_t>(best - summary.models.data());
    Entry entry{{{{std::move(cells), Place{point, kWholeModel, 3}}}}};
    if (!best->note.empty()) entry.notes.push_back({best->note});
    group.entries.push_back(std::move(entry));
  }
  if (group.entries.empty()) return section;
  table.groups.push_back(std::move(group));
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

// Whether a smaller weight format pays: promised by its bytes, left possible by the machine's limits, measured.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// By its layers alone, in one program, where there are peers.
struct Subject {
  const FormatRow& row;
  const PaidBy& by;
  bool of_layers;
  std::optional<double> possible() const { return of_layers ? row.possible_layers : row.possible; }
};

std::string point_text(const FormatRow& row) { return plain(row.model, 80) + " · " + step_text(row); }

std::string verdict_text(Payoff verdict) {
  switch (verdict) {
    case Payoff::cheaper:
      return "cheaper";
    case Payoff::dearer:
      return "dearer";
    case Payoff::same:
      return "same";
    case Payoff::cannot_tell:
      return "cannot tell";
  }
  return "";
}

std::vector<ColumnOf<Subject>> columns(bool of_layers) {
  std::vector<ColumnOf<Subject>> all = {
      {{.title = "point", .align = Align::left}, [](const Subject& s) { return text_cell(point_text(s.row)); }},
      {{.key = "state"},
       [](const Subject& s) {
         return text_cell(std::string(to_string(s.by.paid ? Outcome::measured : Outcome::skipped)));
       }},
      {{.key = "why"}, [](const Subject& s) { return text_cell(s.by.why); }},
      {{.key = "paired_rounds"},
       [](const Subject& s) { return s.by.paid ? TableCell{s.by.paid->rounds} : TableCell{}; }},
      {{.key = "format_base",
        .meaning = "of a weight format's row: the plain format that the row's weight_type is held against",
        .if_any = true},
       [](const Subject& s) { return text_cell(s.row.base); }},
      {{.title = "format", .head = "format", .width = 13, .most = 28, .gap = 3, .align = Align::left},
       [](const Subject& s) {
         const std::string program = s.of_layers ? plain(s.by.implementation, 20) : "";
         return text_cell(joined({plain(s.row.weight_type, 20), program}, ", "));
       }},
      {{.key = "promised_ratio", .title = "promised", .head = "promised", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.key = of_layers ? "layers_possible_ratio" : "possible_ratio",
        .title = "possible",
        .head = "possible",
        .width = 9,
        .form = Form::times},
       [](const Subject& s) { return number_cell(s.possible()); }},
      {{.key = of_layers ? "layers_paid_ratio" : "paid_ratio",
        .low_key = of_layers ? "layers_paid_ratio_low" : "paid_ratio_low",
        .high_key = of_layers ? "layers_paid_ratio_high" : "paid_ratio_high",
        .title = "paid",
        .head = "paid",
        .width = 7,
        .form = Form::times,
        .marked = true},
       [](const Subject& s) {
         TableCell cell = ratio_cell(s.by.paid);
         if (s.by.remarked) cell.mark = "*";
         return cell;
       }},
      {{.title = "95 % interval",
        .head = "95 % interval",
        .width = 14,
        .gap = 2,
        .align = Align::left,
        .form = Form::range,
        .leaves = 2},
       [](const Subject& s) { return ratio_cell(s.by.paid); }},
      {{.title = "verdict", .head = " ", .width = 12, .align = Align::left},
       [](const Subject& s) {
         return s.by.verdict ? text_cell(verdict_text(*s.by.verdict))
                             : TableCell{Absent{"not measured", plain(s.by.why)}};
       }},
      {{.head = " ", .width = 12, .gap = 2, .align = Align::left, .form = Form::bar, .leaves = 1},
       [](const Subject& s) {
         if (!s.possible() || !s.by.paid) return TableCell{};
         return TableCell{Bar{s.by.paid->ratio, *s.possible(), s.row.promised}};
       }},
  };
  if (of_layers)
    all.push_back({{.key = "implementation"}, [](const Subject& s) { return text_cell(s.by.implementation); }});
  return all;
}

}  // namespace

Section formats_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  const bool has_peers = !summary.peers.empty();
  Table table;
  table.title = "What a smaller weight format saves";
  table.about = has_peers ? "time of the layers in the plain format / in the smaller one, without the head"
                          : "cost in the plain format / in the smaller one";
  table.reading = "2.0× means half";
  const auto all = columns(has_peers);
  table.panels.push_back({.columns = behind_identity(columns_of(all)), .tail = 0});
  table.shown = !summary.formats.empty();  // data have the columns
  for (const FormatRow& row : summary.formats) {
    const std::string title = point_text(row);
    if (table.groups.empty() || table.groups.back().title != title)
      table.groups.push_back(
          {title, joined({fmt::format("against {} weights", plain(row.base, 20)), routing_text(row.routing)}, " · ")});
    const auto [point, place] = place_of(row, summary, 3);
    const auto add = [&, point = point, place = place](const PaidBy& by) {
      Row shown{identity_cells(file, *point, "format", has_peers ? "layers_format" : "format"), place};
      for (TableCell& cell : cells_of(all, {row, by, has_peers})) shown.cells.push_back(std::move(cell));
      table.groups.back().entries.push_back({{{std::move(shown)}}});
    };
    if (!has_peers) add({std::string(kOurName), row.paid, row.verdict, row.why});
    for (const PaidBy& by : row.layers) add(by);
  }
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

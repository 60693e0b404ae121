// Whether a smaller weight format pays: promised by its bytes, left possible by the machine's limits, measured.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

struct Subject {
  const FormatRow& row;
  const PaidBy& by;
  std::optional<double> possible;
  bool names_program;
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

const std::vector<ColumnOf<Subject>>& columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {{.title = "point", .align = Align::left}, [](const Subject& s) { return text_cell(point_text(s.row)); }},
      {{.title = "format", .head = "format", .width = 13, .most = 28, .gap = 3, .align = Align::left},
       [](const Subject& s) {
         const std::string program = s.names_program ? plain(s.by.implementation, 20) : "";
         return text_cell(joined({plain(s.row.weight_type, 20), program}, ", "));
       }},
      {{.title = "promised", .head = "promised", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.title = "possible", .head = "possible", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.possible); }},
      {{.title = "paid", .head = "paid", .width = 7, .form = Form::times, .marked = true},
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
         if (!s.possible || !s.by.paid) return TableCell{};
         return TableCell{Bar{s.by.paid->ratio, *s.possible, s.row.promised}};
       }},
  };
  return all;
}

}  // namespace

Section formats_section(const ResultFile&, const Summary& summary, const View&) {
  Section section;
  if (summary.formats.empty()) return section;
  const bool has_peers = !summary.peers.empty();
  Table table;
  table.title = "What a smaller weight format saves";
  table.about = has_peers ? "time of the layers in the plain format / in the smaller one, without the head"
                          : "cost in the plain format / in the smaller one";
  table.reading = "2.0× means half";
  table.panels.push_back({.columns = columns_of(columns()), .tail = 0});
  for (const FormatRow& row : summary.formats) {
    const std::string title = point_text(row);
    if (table.groups.empty() || table.groups.back().title != title)
      table.groups.push_back(
          {title, joined({fmt::format("against {} weights", plain(row.base, 20)), routing_text(row.routing)}, " · ")});
    const auto add = [&](const PaidBy& by, std::optional<double> possible) {
      const Subject subject{row, by, possible, has_peers};
      table.groups.back().entries.push_back({{{{cells_of(columns(), subject)}}}});
    };
    if (!has_peers) add({"", row.paid, row.verdict, row.why}, row.possible);
    for (const PaidBy& by : row.layers) add(by, row.possible_layers);
  }
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

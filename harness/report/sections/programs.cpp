// Promised, possible and paid of the layers alone, in our program and in every other that was measured beside it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// Of the first panel, by is null.
struct Subject {
  const PairGroup& group;
  const TradeoffRow& row;
  const PaidBy* by;
};

std::vector<ColumnOf<Subject>> pair_columns() {
  return {
      {{.title = "dense → MoE", .align = Align::left}, [](const Subject& s) { return text_cell(s.group.both()); }},
      {{.title = "phase", .head = "phase", .width = 7, .gap = 3, .align = Align::left},
       [](const Subject& s) { return text_cell(plain(s.row.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const Subject& s) { return TableCell{s.row.batch}; }},
      {{.title = "context", .head = "context", .width = 7, .leaves = 1},
       [](const Subject& s) { return TableCell{s.row.context}; }},
      {{.title = "promised", .head = "promised", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.title = "possible", .head = "possible", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.possible_layers); }},
  };
}

std::vector<ColumnOf<Subject>> paid_columns(const std::string& name) {
  return {
      {{.key = "state"},
       [](const Subject& s) {
         return text_cell(std::string(to_string(s.by->paid ? Outcome::measured : Outcome::skipped)));
       }},
      {{.key = "why"}, [](const Subject& s) { return text_cell(s.by->why); }},
      {{.key = "implementation"}, [](const Subject& s) { return text_cell(s.by->implementation); }},
      {{.key = "pair_dense"}, [](const Subject& s) { return text_cell(s.row.dense); }},
      {{.key = "paired_rounds"},
       [](const Subject& s) { return s.by->paid ? TableCell{s.by->paid->rounds} : TableCell{}; }},
      {{.key = "promised_ratio"}, [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.key = "layers_possible_ratio"}, [](const Subject& s) { return number_cell(s.row.possible_layers); }},
      {{.key = "layers_paid_ratio",
        .low_key = "layers_paid_ratio_low",
        .high_key = "layers_paid_ratio_high",
        .title = "paid, " + plain(name, 40),
        .head = "paid ",
        .width = 8,
        .gap = 2,
        .form = Form::times,
        .strong = true,
        .marked = true},
       [](const Subject& s) {
         TableCell cell = ratio_cell(s.by->paid);
         if (s.by->remarked && s.by->paid) cell.mark = "*";
         return cell;
       }},
      {{.head = "±", .width = 6, .form = Form::spread, .leaves = 2},
       [](const Subject& s) { return ratio_cell(s.by->paid); }},
      {{.title = "95 % interval", .form = Form::range}, [](const Subject& s) { return ratio_cell(s.by->paid); }},
  };
}

const PaidBy* find_paid(const TradeoffRow& row, const std::string& implementation) {
  const auto found = std::find_if(row.layers.begin(), row.layers.end(), [&](const PaidBy& by) {
    return by.implementation == implementation && (by.paid || implementation == kOurName);
  });
  return found == row.layers.end() ? nullptr : &*found;
}

// Ours first, then those with something to show.
std::vector<std::string> implementations(const Summary& summary) {
  std::vector<std::string> names = {kOurName};
  for (const Implementation& peer : summary.peers) {
    if (std::any_of(summary.tradeoffs.begin(), summary.tradeoffs.end(),
                    [&](const TradeoffRow& row) { return find_paid(row, peer.name) != nullptr; }))
      names.push_back(peer.name);
  }
  return names;
}

Entry entry_of(const TradeoffRow& row, const PairGroup& pair, const std::vector<std::string>& names,
               const ResultFile& file, const Summary& summary) {
  Entry entry;
  entry.panels = {{{cells_of(pair_columns(), {pair, row, nullptr})}}};
  const auto [point, place] = place_of(row, summary);
  for (const std::string& name : names) {
    std::vector<Row>& rows = entry.panels.emplace_back();
    const PaidBy* by = find_paid(row, name);
    if (by == nullptr) continue;
    Row& of_program = rows.emplace_back();
    of_program.place = place;
    of_program.cells = identity_cells(file, *point, "pair", "layers_pair");
    for (TableCell& cell : cells_of(paid_columns(""), {pair, row, by})) of_program.cells.push_back(std::move(cell));
    if (by->remarked && by->paid) entry.notes.push_back({plain(name, 40) + ": see its notes above"});
  }
  return entry;
}

}  // namespace

Section programs_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  if (summary.peers.empty()) return section;
  const std::vector<std::string> names = implementations(summary);
  Table table;
  table.title = "What sparsity saves in each program";
  table.about = "the layers alone, without the head";
  table.reading = "peers measure layers";
  table.notes = Notes::marked;
  table.notes_column = true;
  table.shown = names.size() > 1;  // ours alone: the section before says it
  table.panels.push_back({.columns = columns_of(pair_columns()), .tail = 0});
  for (const std::string& name : names) {
    table.panels.push_back(
        {.title = plain(name, 40), .columns = behind_identity(columns_of(paid_columns(name))), .tail = 0});
  }
  for (const PairGroup& pair : pair_groups(summary)) {
    Group group{pair.title, pair.facts};
    for (const TradeoffRow* row : pair.rows) group.entries.push_back(entry_of(*row, pair, names, file, summary));
    table.groups.push_back(std::move(group));
  }
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

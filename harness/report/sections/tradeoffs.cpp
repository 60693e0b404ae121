// How much cheaper the mixture of experts should be, could be and is.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

// The whole model's, or the layers' where only they were measured.
struct Subject {
  const PairGroup& group;
  TradeoffRow row;
};

const std::vector<ColumnOf<Subject>>& columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {{.title = "dense → MoE", .align = Align::left}, [](const Subject& s) { return text_cell(s.group.both()); }},
      {{.title = "phase", .head = "phase", .width = 8, .gap = 3, .align = Align::left},
       [](const Subject& s) { return text_cell(plain(s.row.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const Subject& s) { return TableCell{s.row.batch}; }},
      {{.title = "context", .head = "context", .width = 8}, [](const Subject& s) { return TableCell{s.row.context}; }},
      {{.title = "promised", .head = "promised", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.title = "possible", .head = "possible", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.possible); }},
      {{.title = "paid", .head = "paid", .width = 7, .form = Form::times},
       [](const Subject& s) { return ratio_cell(s.row.paid); }},
      {{.title = "95 % interval",
        .head = "95 % interval",
        .width = 14,
        .gap = 2,
        .align = Align::left,
        .form = Form::range},
       [](const Subject& s) { return ratio_cell(s.row.paid); }},
      {{.title = "verdict", .head = " ", .width = 12, .align = Align::left},
       [](const Subject& s) {
         return s.row.verdict ? text_cell(std::string(to_string(*s.row.verdict)))
                              : TableCell{Absent{"not measured", plain(s.row.why)}};
       }},
      {{.head = " ", .width = 14, .gap = 2, .align = Align::left, .form = Form::bar},
       [](const Subject& s) {
         if (!s.row.promised || !s.row.possible || !s.row.paid) return TableCell{};
         return TableCell{Bar{s.row.paid->ratio, *s.row.possible, *s.row.promised}};
       }},
  };
  return all;
}

std::string crossover_sentence(const Crossover& c) {
  const std::string where = fmt::format("{} at context {}", plain(c.of.phase, 20), c.of.context);
  switch (c.kind) {
    case CrossoverKind::between:
      return fmt::format("crossover in {}: the MoE stops being cheaper at batch {} (measured: {} and {})", where,
                         digits(*c.batch, 2), c.below, c.above);
    case CrossoverKind::from_smallest:
      return fmt::format("crossover in {}: the MoE is not cheaper at batch {}, the smallest measured", where, c.below);
    case CrossoverKind::not_reached:
      return fmt::format("crossover in {}: not within the measured batches, {} to {}", where, c.below, c.above);
  }
  return "";
}

}  // namespace

Section tradeoffs_section(const ResultFile&, const Summary& summary) {
  Section section;
  if (summary.tradeoffs.empty()) return section;
  const bool layers_alone = shows_layers_alone(summary);
  Table table;
  table.title = "What sparsity saves";
  table.about = layers_alone ? "time of the dense layers / of the MoE's, without the head"
                             : "cost of the dense model / cost of the MoE";
  table.reading = layers_alone ? "2.0× means half" : "2.0× means half the cost";
  table.panels.push_back({.columns = columns_of(columns()), .tail = 0});
  for (const PairGroup& pair : pair_groups(summary)) {
    Group group{pair.title, pair.facts};
    for (const TradeoffRow* row : pair.rows) {
      const Subject subject{pair, layers_alone ? of_layers_alone({*row}).front() : *row};
      group.entries.push_back({{{{cells_of(columns(), subject)}}}});
    }
    for (const Crossover& c : layers_alone ? summary.layers_crossovers : summary.crossovers) {
      const TradeoffRow& first = *pair.rows.front();
      if (c.dense == first.dense && c.moe == first.moe && same_but_step(c.of, first))
        group.sentences.push_back(crossover_sentence(c));
    }
    table.groups.push_back(std::move(group));
  }
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

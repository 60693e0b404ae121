// How much cheaper the mixture of experts should be, could be and is.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// The whole model's, or the layers' where only they were measured.
struct Subject {
  const PairGroup& group;
  TradeoffRow row;
};

std::string kinds_text(const Likeness& like) {
  std::string text;
  for (const std::string_view kind : alike_in(like)) text += (text.empty() ? "" : " ") + std::string(kind);
  return text;
}

const std::vector<ColumnOf<Subject>>& columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {{.title = "dense → MoE", .align = Align::left}, [](const Subject& s) { return text_cell(s.group.both()); }},
      {{.key = "state"},
       [](const Subject& s) {
         return text_cell(std::string(to_string(s.row.paid ? Outcome::measured : Outcome::skipped)));
       }},
      {{.key = "why"}, [](const Subject& s) { return text_cell(s.row.why); }},
      {{.key = "pair_dense", .meaning = "of a pair's row: the dense model that the row's MoE is held against"},
       [](const Subject& s) { return text_cell(s.row.dense); }},
      {{.key = "paired_rounds"},
       [](const Subject& s) { return s.row.paid ? TableCell{s.row.paid->rounds} : TableCell{}; }},
      {{.title = "phase", .head = "phase", .width = 8, .gap = 3, .align = Align::left},
       [](const Subject& s) { return text_cell(plain(s.row.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const Subject& s) { return TableCell{s.row.batch}; }},
      {{.title = "context", .head = "context", .width = 8, .leaves = 2},
       [](const Subject& s) { return TableCell{s.row.context}; }},
      {{.key = "promised_ratio", .title = "promised", .head = "promised", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.key = "possible_ratio", .title = "possible", .head = "possible", .width = 9, .form = Form::times},
       [](const Subject& s) { return number_cell(s.row.possible); }},
      {{.key = "paid_ratio",
        .low_key = "paid_ratio_low",
        .high_key = "paid_ratio_high",
        .title = "paid",
        .head = "paid",
        .width = 7,
        .form = Form::times},
       [](const Subject& s) { return ratio_cell(s.row.paid); }},
      {{.title = "95 % interval",
        .head = "95 % interval",
        .width = 14,
        .gap = 2,
        .align = Align::left,
        .form = Form::range,
        .leaves = 3},
       [](const Subject& s) { return ratio_cell(s.row.paid); }},
      {{.title = "verdict", .head = " ", .width = 12, .align = Align::left},
       [](const Subject& s) {
         return s.row.verdict ? text_cell(std::string(to_string(*s.row.verdict)))
                              : TableCell{Absent{"not measured", plain(s.row.why)}};
       }},
      {{.head = " ", .width = 14, .gap = 2, .align = Align::left, .form = Form::bar, .leaves = 1},
       [](const Subject& s) {
         if (!s.row.promised || !s.row.possible || !s.row.paid) return TableCell{};
         return TableCell{Bar{s.row.paid->ratio, *s.row.possible, *s.row.promised}};
       }},
      {{.key = "total_ratio", .if_any = true}, [](const Subject& s) { return number_cell(s.row.like.total); }},
      {{.key = "flops_ratio", .if_any = true}, [](const Subject& s) { return number_cell(s.row.like.flops); }},
      {{.key = "bytes_ratio", .if_any = true}, [](const Subject& s) { return number_cell(s.row.like.bytes); }},
      {{.key = "pair_kind",
        .meaning = "of a pair's row: iso-total, iso-active, iso-FLOP, iso-byte, where both sides have as much within a "
                   "tenth",
        .if_any = true},
       [](const Subject& s) { return text_cell(kinds_text(s.row.like)); }},
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

// "1.1×", or "2.5× to 10.0×" over the rows; "" where no row has it.
std::string range_text(const std::vector<const TradeoffRow*>& rows, std::optional<double> Likeness::*of) {
  std::optional<double> low, high;
  for (const TradeoffRow* row : rows) {
    const std::optional<double>& ratio = row->like.*of;
    if (!ratio) continue;
    low = std::min(low.value_or(*ratio), *ratio);
    high = std::max(high.value_or(*ratio), *ratio);
  }
  if (!low) return "";
  const std::string from = times_text(*low), to = times_text(*high);
  return from == to ? from : from + " to " + to;
}

// Which comparison this is: by what the two sides have as much of, at every point that was measured.
std::string kind_sentence(const std::vector<const TradeoffRow*>& rows) {
  std::vector<std::string_view> kinds = alike_in(rows.front()->like);
  for (const TradeoffRow* row : rows) {
    const std::vector<std::string_view> here = alike_in(row->like);
    std::erase_if(kinds,
                  [&](std::string_view kind) { return std::find(here.begin(), here.end(), kind) == here.end(); });
  }
  std::vector<std::string> parts;
  for (const auto& [of, name] :
       {std::pair{&Likeness::total, "parameters"}, std::pair{&Likeness::active, "active ones"},
        std::pair{&Likeness::flops, "FLOPs of a step"}, std::pair{&Likeness::bytes, "bytes of a step"}})
    if (const std::string range = range_text(rows, of); !range.empty()) parts.push_back(range + " the " + name);
  if (parts.empty()) return "";
  std::string text;
  for (const std::string_view kind : kinds) text += (text.empty() ? "" : ", ") + std::string(kind);
  return (text.empty() ? "of no equal size" : text) + ": the dense model has " + joined(parts, ", ");
}

// ---- The screen: all pairs in one table. The sentence below the tables says where the mixture stops being cheaper.

std::string payoff_word(const Subject& s) {
  if (!s.row.verdict) return "";
  switch (*s.row.verdict) {
    case Payoff::cheaper:
      return "cheaper";
    case Payoff::dearer:
      return "dearer";
    case Payoff::same:
      return "the same";
    case Payoff::cannot_tell:
      return "cannot tell";
  }
  return "";
}

// What of the pairs differs, and needs a column.
struct Differing {
  bool moe = false, weights = false, routing = false, context = false;
};

std::vector<ColumnOf<Subject>> screen_columns(const Differing& differing) {
  std::vector<ColumnOf<Subject>> all = {
      {{.head = "dense", .width = 10, .most = 30, .align = Align::left, .shrinks = true},
       [](const Subject& s) { return text_cell(plain(s.row.dense, 80)); }},
  };
  if (differing.moe)
    all.push_back({{.head = "MoE", .width = 10, .most = 30, .align = Align::left, .shrinks = true},
                   [](const Subject& s) { return text_cell(plain(s.row.moe, 80)); }});
  if (differing.weights)
    all.push_back({{.head = "weights", .width = 7, .most = 14, .align = Align::left},
                   [](const Subject& s) { return text_cell(plain(s.row.weight_type, 20)); }});
  if (differing.routing)
    all.push_back({{.head = "routing", .width = 7, .most = 10, .align = Align::left},
                   [](const Subject& s) { return text_cell(plain(s.row.routing, 40)); }});
  all.push_back({{.head = "phase", .width = 7, .align = Align::left},
                 [](const Subject& s) { return text_cell(plain(s.row.phase, 20)); }});
  all.push_back({{.head = "batch", .width = 5, .most = 8}, [](const Subject& s) { return TableCell{s.row.batch}; }});
  if (differing.context)
    all.push_back(
        {{.head = "context", .width = 7, .leaves = 4}, [](const Subject& s) { return TableCell{s.row.context}; }});
  const std::vector<ColumnOf<Subject>> numbers = {
      {{.head = "promised", .width = 8, .form = Form::times, .leaves = 2},
       [](const Subject& s) { return number_cell(s.row.promised); }},
      {{.head = "possible", .width = 8, .form = Form::times, .leaves = 3},
       [](const Subject& s) { return number_cell(s.row.possible); }},
      {{.head = "paid", .width = 6, .form = Form::times, .strong = true},
       [](const Subject& s) {
         return s.row.paid ? ratio_cell(s.row.paid) : TableCell{Absent{"not measured", plain(s.row.why)}};
       }},
      {{.head = "±", .width = 6, .form = Form::spread, .leaves = 1},
       [](const Subject& s) { return ratio_cell(s.row.paid); }},
      {{.head = "the MoE is", .width = 11, .align = Align::left},
       [](const Subject& s) { return text_cell(payoff_word(s)); }},
  };
  all.insert(all.end(), numbers.begin(), numbers.end());
  return all;
}

Table screen_table(const Summary& summary, bool layers_alone) {
  const std::vector<PairGroup> pairs = pair_groups(summary);
  Differing differing;
  std::map<std::string, std::int64_t> contexts;  // of each phase, the first
  for (const PairGroup& pair : pairs) {
    differing.moe |= pair.rows.front()->moe != pairs.front().rows.front()->moe;
    differing.weights |= pair.rows.front()->weight_type != pairs.front().rows.front()->weight_type;
    differing.routing |= pair.rows.front()->routing != pairs.front().rows.front()->routing;
    for (const TradeoffRow* row : pair.rows)
      differing.context |= contexts.try_emplace(row->phase, row->context).first->second != row->context;
  }
  const auto columns = screen_columns(differing);
  const std::string moe = differing.moe ? "the MoE" : plain(summary.tradeoffs.front().moe, 40);
  Table table;
  table.title = "What sparsity saves";
  table.frame = Frame::none;
  table.about = layers_alone ? fmt::format("time of the dense layers / of {}'s, without the head", moe)
                             : fmt::format("cost of the dense model / of {}", moe);
  table.panels.push_back({.columns = columns_of(columns), .tail = 0});
  Group group;
  for (const PairGroup& pair : pairs)
    for (const TradeoffRow* row : pair.rows)
      group.entries.push_back({{{{cells_of(columns, {pair, layers_alone ? of_layers_alone({*row}).front() : *row})}}}});
  table.groups.push_back(std::move(group));
  return table;
}

}  // namespace

Section tradeoffs_section(const ResultFile& file, const Summary& summary, const View& view) {
  Section section;
  section.leads = 1;
  const bool layers_alone = shows_layers_alone(summary);
  if (!view.detail) {
    if (!summary.tradeoffs.empty()) section.tables.push_back(screen_table(summary, layers_alone));
    return section;
  }
  Table table;
  table.title = "What sparsity saves";
  table.about = layers_alone ? "time of the dense layers / of the MoE's, without the head"
                             : "cost of the dense model / cost of the MoE";
  table.reading = layers_alone ? "2.0× means half" : "2.0× means half the cost";
  table.panels.push_back({.columns = behind_identity(columns_of(columns())), .tail = 0});
  table.shown = !summary.tradeoffs.empty();  // data have the columns
  for (const PairGroup& pair : pair_groups(summary)) {
    Group group{pair.title, pair.facts};
    if (const std::string kind = kind_sentence(pair.rows); !kind.empty()) group.sentences.push_back(kind);
    for (const TradeoffRow* row : pair.rows) {
      const Subject subject{pair, layers_alone ? of_layers_alone({*row}).front() : *row};
      const auto [point, place] = place_of(*row, summary);
      Row shown{identity_cells(file, *point, "pair")};
      for (TableCell& cell : cells_of(columns(), subject)) shown.cells.push_back(std::move(cell));
      if (!layers_alone) shown.place = place;  // of the layers alone the programs' section has the data
      group.entries.push_back({{{std::move(shown)}}});
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

// From how many tokens a day one way to pay is cheaper than another.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/break_even.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

TableCell day_cell(const BreakEven& even, const std::optional<Interval>& interval = {}) {
  if (!even.tokens_per_day) return text_cell("never");
  return number_cell(even.tokens_per_day, interval);
}

template <int kChange>
TableCell change(const BreakEvenRow& r) {
  constexpr std::array kWhat = {"half the use", "half the price", "twice the price", "half the life", "twice the life"};
  for (const BreakEvenChange& c : r.changes)
    if (c.what == kWhat[kChange]) return day_cell(c.then);
  return {};
}

// The numbers of a row, behind its model and batch.
const std::vector<ColumnOf<BreakEvenRow>>& columns() {
  static const std::vector<ColumnOf<BreakEvenRow>> all = {
      {{.key = "first_way",
        .meaning = "of a break_even row: the record that is cheaper from there on",
        .title = "first way",
        .if_any = true},
       [](const BreakEvenRow& r) { return text_cell(plain(r.first, 80)); }},
      {{.key = "second_way",
        .meaning = "of a break_even row: the record it is held against",
        .title = "second way",
        .if_any = true},
       [](const BreakEvenRow& r) { return text_cell(plain(r.second, 80)); }},
      {{.key = "list_price_usd_per_mtok", .if_any = true},
       [](const BreakEvenRow& r) { return number_cell(r.list_usd_per_mtok); }},
      {{.key = "break_even_tokens_per_day",
        .low_key = "break_even_tokens_per_day_low",
        .high_key = "break_even_tokens_per_day_high",
        .if_any = true},
       [](const BreakEvenRow& r) { return number_cell(r.now.tokens_per_day, r.interval); }},
      {{.title = "tokens a day", .over = "tokens", .head = "a day", .width = 8, .form = Form::count, .strong = true},
       [](const BreakEvenRow& r) { return day_cell(r.now, r.interval); }},
      {{.key = "capacity_tokens_per_day",
        .title = "most it makes",
        .over = "most it",
        .head = "makes",
        .width = 8,
        .form = Form::count,
        .if_any = true},
       [](const BreakEvenRow& r) { return number_cell(r.now.capacity_tokens_per_day); }},
      {{.title = "half the use", .over = "half", .head = "the use", .width = 8, .form = Form::count, .leaves = 4},
       change<0>},
      {{.title = "half the price", .over = "half the", .head = "price", .width = 9, .form = Form::count}, change<1>},
      {{.title = "twice the price", .over = "twice the", .head = "price", .width = 10, .form = Form::count}, change<2>},
      {{.title = "half the life", .over = "half", .head = "the life", .width = 8, .form = Form::count, .leaves = 1},
       change<3>},
      {{.title = "twice the life", .over = "twice", .head = "the life", .width = 8, .form = Form::count, .leaves = 2},
       change<4>},
  };
  return all;
}

std::vector<Column> all_columns() {
  std::vector<Column> all = {
      {.title = "model", .head = "model", .width = 10, .most = 24, .gap = 3, .align = Align::left, .shrinks = true},
      {.title = "batch", .head = "batch", .width = 6, .leaves = 3}};
  for (Column& column : columns_of(columns())) all.push_back(std::move(column));
  return behind_identity(std::move(all));
}

std::string doubts(const std::vector<PriceLabel>& labels) {
  const std::string text = shown(TableCell{labels}, Form::text);
  return text.empty() ? "" : " (" + text + ")";
}

const ListPriceRecord& list_price(const ResultFile& file, const std::string& id) {
  return *std::find_if(file.against->list_prices.begin(), file.against->list_prices.end(),
                       [&](const ListPriceRecord& r) { return r.id == id; });
}

// "own example-owned-h100 (EXAMPLE)", "or ask kimi-k2", and what that is.
Group group_of(const BreakEvenRow& row, const ResultFile& file, const Summary& summary) {
  const bool owns = row.ways != Ways::rent_or_api;
  const std::vector<PriceLabel>& labels = owns ? file.against->owned->labels : file.price->labels;
  Group group{fmt::format("{} {}{}{}", owns ? "own" : "rent", plain(row.first, 60), doubts(labels),
                          owns ? "" : " day and night"),
              ""};
  if (row.ways == Ways::own_or_rent) {
    group.facts = fmt::format("or rent {}{} by the hour", plain(row.second, 60), doubts(file.price->labels));
    return group;
  }
  const ListPriceRecord& p = list_price(file, row.second);
  group.facts = "or ask " + plain(p.id, 60);
  const bool measured =
      std::any_of(summary.models.begin(), summary.models.end(), [&](const ModelRow& m) { return m.model == p.model; });
  group.sentences.push_back(fmt::format(
      "{} is a list price, not a cost: {} for {}, {}{}: {}; {} USD per Mtok of this mix{}", plain(p.id, 60),
      plain(p.provider, 40), plain(p.model, 40), plain(p.retrieved_at, 10), doubts(p.labels), plain(p.label, 200),
      digits(*row.list_usd_per_mtok), measured ? "" : "; of another model than those that were measured"));
  return group;
}

}  // namespace

Section break_even_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  if (!file.against) return section;
  Table table;
  table.title = "Break-even";
  std::string mix = "new tokens";
  if (file.price && file.price->mix) mix = "tokens of the mix " + plain(file.price->mix->name, 12);
  table.about = mix + " a day from which the first way is cheaper than the second";
  table.panels.push_back({.columns = all_columns(), .tail = 0});
  table.facts_below = true;
  std::vector<BreakEvenRow> rows = break_evens(file, summary);
  std::stable_sort(rows.begin(), rows.end(), [](const BreakEvenRow& a, const BreakEvenRow& b) {
    return std::tie(a.ways, a.second) < std::tie(b.ways, b.second);
  });
  const BreakEvenRow* above = nullptr;
  std::size_t turn = 4;
  for (const BreakEvenRow& row : rows) {
    if (above == nullptr || above->ways != row.ways || above->second != row.second)
      table.groups.push_back(group_of(row, file, summary)), ++turn;
    above = &row;
    const ModelRow& model = summary.models[row.point];
    std::vector<TableCell> cells = identity_cells(file, model, "break_even");
    cells.push_back(text_cell(plain(model.model, 80)));
    cells.push_back(TableCell{model.batch});
    for (TableCell& cell : cells_of(columns(), row)) cells.push_back(std::move(cell));
    Entry entry{{{{std::move(cells), Place{row.point, kWholeModel, turn}}}}};
    if (!row.now.tokens_per_day) entry.notes.push_back({"never: " + row.now.why});
    table.groups.back().entries.push_back(std::move(entry));
  }
  if (rows.empty())
    table.groups.push_back({"", "", {}, {"no decode point that fits here, with a prompt where the mix has input"}});
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

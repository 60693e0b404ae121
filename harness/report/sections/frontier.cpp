// Cheap against fast: every decode point by what a user gets of it, and which is the cheapest that is fast enough.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/frontier.h"

#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

std::vector<ColumnOf<ModelRow>> columns(bool money) {
  std::vector<ColumnOf<ModelRow>> all = {
      {{.title = "model", .align = Align::left}, [](const ModelRow& r) { return text_cell(plain(r.model, 80)); }},
      {{.title = "batch", .head = "batch", .width = 8, .gap = 3}, [](const ModelRow& r) { return TableCell{r.batch}; }},
      {{.title = "tokens/s for a user", .head = "tokens/s a user", .width = 15, .form = Form::number, .strong = true},
       [](const ModelRow& r) { return number_cell(r.tokens_per_s_user, r.tokens_per_s_user_interval); }},
      {{.title = "95 % interval", .head = "95 % interval", .width = 16, .form = Form::range, .leaves = 1},
       [](const ModelRow& r) { return number_cell(r.tokens_per_s_user, r.tokens_per_s_user_interval); }},
      {{.title = "tokens/s in all", .head = "in all", .width = 8, .form = Form::number, .leaves = 2},
       [](const ModelRow& r) {
         return number_cell(r.tokens_per_s, {}, relative_half_width(r.time_s, r.time_interval));
       }},
  };
  if (money) {
    all.push_back({{.title = "$ per Mtok out", .head = "$/Mtok", .width = 8, .form = Form::number, .strong = true},
                   [](const ModelRow& r) { return number_cell(r.usd_per_mtok, r.usd_per_mtok_interval); }});
    all.push_back({{.title = "tokens per $", .head = "tokens/$", .width = 9, .form = Form::count, .leaves = 3},
                   [](const ModelRow& r) { return number_cell(r.tokens_per_usd); }});
  }
  all.push_back(
      {{.title = "frontier", .head = "frontier", .width = 12, .gap = 2, .align = Align::left}, [](const ModelRow& r) {
         if (!r.on_frontier) return text_cell("does not fit");
         return text_cell(*r.on_frontier ? "yes" : "no");
       }});
  return all;
}

std::string point_text(const ModelRow& row) {
  return fmt::format(
      "batch {}, {} tokens/s for each user{}", row.batch,
      number_text(row.tokens_per_s_user, relative_half_width(row.tokens_per_s_user, row.tokens_per_s_user_interval)),
      row.usd_per_mtok ? fmt::format(", {} USD a million", digits(*row.usd_per_mtok)) : "");
}

std::string choice_text(const Frontier& frontier, double limit) {
  const Choice choice = cheapest(frontier, limit);
  std::string text = fmt::format("cheapest with at least {} tokens/s for each user: ", digits(limit));
  text += choice.point != nullptr ? point_text(*choice.point) : "none of those that were measured";
  if (choice.perhaps != nullptr)
    text += fmt::format("; perhaps {}: its interval does not say whether it keeps that", point_text(*choice.perhaps));
  return text;
}

}  // namespace

Section frontier_section(const ResultFile& file, const Summary& summary, const View& view) {
  Section section;
  if (!view.detail && !view.min_tokens_per_s_user) return section;
  const auto all = columns(file.price.has_value());
  Table table;
  table.title = "Cheap against fast";
  table.about = "new tokens, over the batch; on the frontier no other batch is faster and cheaper";
  table.panels.push_back({.columns = columns_of(all), .tail = 0});
  table.facts_below = true;
  for (const Frontier& frontier : frontiers(summary)) {
    const ModelRow& first = *frontier.points.front();
    if (frontier.points.size() < 2 && !view.min_tokens_per_s_user) continue;
    Group group{
        plain(first.model, 80),
        joined({types_text(first), fmt::format("{} cached", first.context), routing_text(first.routing)}, " · ")};
    for (const ModelRow* row : frontier.points) group.entries.push_back({{{{cells_of(all, *row)}}}});
    if (const ModelRow* wait = frontier.first_token)
      group.sentences.push_back(fmt::format("first token after {}: prompts of {}, batch {}{}",
                                            time_text(wait->time_s, wait->time_interval), wait->context, wait->batch,
                                            wait->note.empty() ? "" : "; " + wait->note));
    if (view.min_tokens_per_s_user) group.sentences.push_back(choice_text(frontier, *view.min_tokens_per_s_user));
    table.groups.push_back(std::move(group));
  }
  if (!table.groups.empty()) section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

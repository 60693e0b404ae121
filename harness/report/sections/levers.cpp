// What each design decision of a model saves, one after the other, from a dense transformer as large.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/levers.h"

#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

struct Subject {
  const LadderRow& ladder;
  const LeverStep& step;
  const ModelRow& model;
};

std::string point_text(const LadderRow& row) { return plain(row.model, 80) + " · " + step_text(row); }

// Why a model has no time stands in its own row.
TableCell paid_cell(const std::optional<PaidBy>& by) { return by ? ratio_cell(by->paid) : TableCell{}; }

std::vector<ColumnOf<Subject>> columns(bool money) {
  std::vector<ColumnOf<Subject>> all = {
      {{.title = "point", .align = Align::left}, [](const Subject& s) { return text_cell(point_text(s.ladder)); }},
      {{.title = "lever", .head = "lever", .width = 14, .most = 24, .gap = 3, .align = Align::left},
       [](const Subject& s) { return text_cell(plain(lever_text(s.step), 40)); }},
      {{.key = "lever",
        .meaning = "of a lever row: start, attention, experts, shared experts or a weight format",
        .if_any = true},
       [](const Subject& s) { return text_cell(s.step.lever); }},
      {{.title = "model", .head = "model", .width = 12, .most = 34, .align = Align::left, .shrinks = true, .leaves = 1},
       [](const Subject& s) { return text_cell(plain(s.model.model, 80)); }},
      {{.title = "per step", .head = "per step", .width = 9, .form = Form::time, .marked = true},
       [](const Subject& s) {
         if (!s.model.time_s) return TableCell{Absent{"not measured", plain(s.model.why)}};
         TableCell cell = number_cell(s.model.time_s, s.model.time_interval);
         if (!s.model.note.empty()) cell.mark = "*";
         return cell;
       }},
      {{.title = "tokens/s", .head = "tokens/s", .width = 9, .form = Form::number, .leaves = 2},
       [](const Subject& s) {
         return number_cell(s.model.tokens_per_s, {}, relative_half_width(s.model.time_s, s.model.time_interval));
       }},
  };
  if (money)
    all.push_back({{.title = "$ per Mtok", .head = "$/Mtok", .width = 8, .form = Form::number},
                   [](const Subject& s) { return number_cell(s.model.usd_per_mtok, s.model.usd_per_mtok_interval); }});
  const std::vector<ColumnOf<Subject>> factors = {
      {{.key = "lever_factor",
        .low_key = "lever_factor_low",
        .high_key = "lever_factor_high",
        .title = "saves",
        .head = "saves",
        .width = 7,
        .form = Form::times,
        .strong = true,
        .if_any = true},
       [](const Subject& s) { return paid_cell(s.step.factor); }},
      {{.head = "±", .width = 6, .form = Form::spread, .leaves = 3},
       [](const Subject& s) { return paid_cell(s.step.factor); }},
      {{.title = "95 % interval", .form = Form::range}, [](const Subject& s) { return paid_cell(s.step.factor); }},
      {{.key = "lever_in_all",
        .low_key = "lever_in_all_low",
        .high_key = "lever_in_all_high",
        .title = "in all",
        .head = "in all",
        .width = 7,
        .form = Form::times,
        .if_any = true},
       [](const Subject& s) { return paid_cell(s.step.in_all); }},
  };
  all.insert(all.end(), factors.begin(), factors.end());
  return all;
}

}  // namespace

std::string lever_text(const LeverStep& step) {
  if (step.lever == "start") return "(start)";
  const bool own = step.lever == "attention" || step.lever == "experts" || step.lever == "shared experts";
  return own ? step.lever : step.lever + " weights";
}

Section levers_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  section.leads = 1;
  const auto all = columns(file.price.has_value());
  Table table;
  table.title = "What each lever saves";
  table.about = "time of the step before / of this one; in all: of the start";
  table.panels.push_back({.columns = behind_identity(columns_of(all)), .tail = 0});
  table.notes = Notes::marked;
  table.notes_column = true;
  table.shown = !summary.ladders.empty();
  for (const LadderRow& row : summary.ladders) {
    Group group{point_text(row), joined({plain(row.activation_type, 20), routing_text(row.routing)}, " · ")};
    for (const LeverStep& step : row.steps) {
      const ModelRow& model = summary.models.at(step.point);
      std::vector<TableCell> cells = identity_cells(file, model, "lever");
      for (TableCell& cell : cells_of(all, {row, step, model})) cells.push_back(std::move(cell));
      Entry entry{{{{std::move(cells), Place{step.point, kWholeModel, 2}}}}};
      if (!model.note.empty()) {
        entry.notes.push_back({model.note});
        table.footnotes = {"hypothetical: the model does not fit, its layers were measured"};
      }
      group.entries.push_back(std::move(entry));
    }
    table.groups.push_back(std::move(group));
  }
  if (!table.groups.empty())
    table.groups.back().sentences.push_back(
        "No steps here: multi-token prediction, whose saving depends on how many drafts are right (--mtp measures what "
        "one takes); sparse and linear attention, for no model is alike but for them");
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

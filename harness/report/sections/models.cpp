// One layer of each kind, and the whole model that they amount to: a table for each phase, context and choice of types.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// A row of either panel: part is null for the whole model.
struct Subject {
  const ModelRow& model;
  const PartRow* part;
  bool first;  // of its point: what is the same for all parts is said once
  const CostRow& cost() const { return part != nullptr ? static_cast<const CostRow&>(*part) : model; }
};

// One block's choice of columns.
struct Look {
  bool decode = false, money = false, nominal = false;
  bool screen = false;  // whole models of all blocks in one table
};

TableCell time_cell(const Subject& s) {
  const CostRow& cost = s.cost();
  if (cost.time_s) return number_cell(cost.time_s, cost.time_interval);
  if (s.part == nullptr) return {};
  const bool alarming = cost.outcome == Outcome::wrong || cost.outcome == Outcome::failed;
  return {Absent{std::string(text_of(cost.outcome).shown), "", alarming}};
}

TableCell spread_cell(const Subject& s) { return number_cell(s.cost().time_s, s.cost().time_interval); }

// With the digits that the time has.
TableCell like_time(const Subject& s, std::optional<double> value) {
  return number_cell(value, {}, relative_half_width(s.cost().time_s, s.cost().time_interval));
}

TableCell batch_cell(const Subject& s) { return s.first ? TableCell{s.model.batch} : TableCell{}; }

std::vector<ColumnOf<Subject>> part_columns() {
  return {
      {{.title = "model", .align = Align::left},
       [](const Subject& s) { return text_cell(s.first ? plain(s.model.model, 80) : ""); }},
      {{.head = "batch", .width = 5, .most = 20}, batch_cell},
      {{.title = "layers", .head = "layers", .width = 12, .most = 24, .gap = 2, .align = Align::left, .shrinks = true},
       [](const Subject& s) {
         const std::string kind = plain(s.part->kind, 60);
         return text_cell(s.part->count == 1 ? kind : fmt::format("{}× {}", s.part->count, kind));
       }},
      {{.title = "batch"}, batch_cell},
  };
}

// THE list of numbers and words of a part and of a whole model: a new one is a new row.
std::vector<ColumnOf<Subject>> cost_columns(bool whole, const Look& look) {
  const auto in_whole = [&](const char* text) { return std::string(whole ? text : ""); };
  const bool money = whole && look.money;
  return {
      {{.key = "time_s",
        .low_key = "time_low_s",
        .high_key = "time_high_s",
        .title = !whole        ? "one layer"
                 : look.decode ? "whole model, per step"
                               : "whole model, first token",
        .over = whole ? "" : "one layer",
        .head = !whole                       ? "time"
                : look.decode || look.screen ? "per step"
                                             : "1st token",
        .width = whole ? 9u : 7u,
        .gap = whole ? 1u : 2u,
        .form = Form::time},
       time_cell},
      {{.title = "±", .head = "±", .width = 6, .form = Form::spread, .leaves = whole ? 5 : 1}, spread_cell},
      {{.key = "possible_fraction",
        .title = "% of possible",
        .over = look.screen ? "" : "% of",
        .head = "possible",
        .width = 8,
        .form = Form::percent,
        .leaves = whole ? 6 : 2},
       [](const Subject& s) { return number_cell(s.cost().possible_fraction); }},
      {{.key = "tokens_per_s",
        .title = in_whole("tokens/s"),
        .head = "tokens/s",
        .width = whole ? 8u : 0u,
        .form = Form::number,
        .leaves = 4,
        .marked = look.screen},
       [](const Subject& s) { return like_time(s, s.cost().tokens_per_s); }},
      {{.key = "nominal_fraction", .title = look.nominal ? in_whole("% of nominal") : "", .form = Form::percent},
       [](const Subject& s) { return number_cell(s.cost().nominal_fraction); }},
      {{.key = "usd_per_mtok",
        .title = !money        ? ""
                 : look.decode ? "$ per Mtok out"
                               : "$ per Mtok in",
        .over = look.screen ? "" : "$ per",
        .head = look.screen   ? "$/Mtok"
                : look.decode ? "Mtok out"
                              : "Mtok in",
        .width = money ? 8u : 0u,
        .form = Form::number,
        .marked = look.screen},
       [](const Subject& s) { return s.part != nullptr ? TableCell{} : like_time(s, s.cost().usd_per_mtok); }},
      {{.key = "memory_required_bytes"},
       [](const Subject& s) { return s.part != nullptr ? TableCell{} : number_cell(s.model.memory_required_bytes); }},
      {{.key = "fits", .meaning = "whether the whole model fits the device at this point: true or false"},
       [](const Subject& s) { return s.part == nullptr && s.model.fits ? TableCell{*s.model.fits} : TableCell{}; }},
      {{.key = "state", .meaning = "measured, wrong, unsupported, out_of_memory, failed or skipped"},
       [](const Subject& s) { return text_cell(std::string(to_string(s.cost().outcome))); }},
      {{.key = "labels", .meaning = "separated by spaces; see result/labels.h"},
       [](const Subject& s) { return TableCell{s.cost().labels}; }},
      {{.key = "note", .meaning = "of the model's row: hypothetical: does not fit, if so"},
       [](const Subject& s) { return text_cell(s.part != nullptr ? "" : s.model.note); }},
      {{.key = "why", .meaning = "reason, where the state is not measured"},
       [](const Subject& s) { return text_cell(s.cost().why); }},
      {{.key = "rounds", .meaning = "that the time is of; of a model the fewest of its parts"},
       [](const Subject& s) {
         if (s.part != nullptr) return s.part->rounds > 0 ? TableCell{s.part->rounds} : TableCell{};
         std::int64_t fewest = s.model.time_s ? INT64_MAX : 0;
         for (const PartRow& part : s.model.parts) fewest = std::min(fewest, part.rounds);
         return fewest > 0 ? TableCell{fewest} : TableCell{};
       }},
      {{.key = "tokens_per_s_user",
        .low_key = "tokens_per_s_user_low",
        .high_key = "tokens_per_s_user_high",
        .if_any = true},
       [](const Subject& s) {
         return s.part != nullptr ? TableCell{}
                                  : number_cell(s.model.tokens_per_s_user, s.model.tokens_per_s_user_interval);
       }},
      {{.key = "tokens_per_usd", .title = money ? "tokens per $" : "", .form = Form::count, .if_any = true},
       [](const Subject& s) { return s.part != nullptr ? TableCell{} : number_cell(s.model.tokens_per_usd); }},
      {{.key = "on_frontier",
        .meaning = "of decode: no other batch that fits is faster for a user and cheaper",
        .if_any = true},
       [](const Subject& s) {
         return s.part == nullptr && s.model.on_frontier ? TableCell{*s.model.on_frontier} : TableCell{};
       }},
      {{.key = "layer_count", .meaning = "how often the kind occurs in the model; empty for the model"},
       [](const Subject& s) { return s.part != nullptr ? TableCell{s.part->count} : TableCell{}; }},
  };
}

std::vector<ColumnOf<Subject>> columns(bool whole, const Look& look) {
  std::vector<ColumnOf<Subject>> all = whole ? std::vector<ColumnOf<Subject>>() : part_columns();
  for (auto& column : cost_columns(whole, look)) all.push_back(std::move(column));
  return all;
}

// on_rows: the labels that stand on single rows, which only a walk over all rows tells.
std::vector<Note> notes(const ModelRow& row, const std::set<Label>& on_rows) {
  const bool alarming = row.outcome == Outcome::wrong || row.outcome == Outcome::failed;
  std::vector<Note> result;
  if (!row.why.empty()) result.push_back({plain(row.why), alarming});
  if (!row.note.empty()) result.push_back({row.note, true});
  if (row.fits && !*row.fits) {
    result.push_back(
        {fmt::format("needs {}, has {}", gigabytes_text(row.memory_required_bytes), gigabytes_text(row.device_bytes)),
         alarming});
  } else if (row.fits && row.time_s) {
    result.push_back(
        {fmt::format("fits: {} of {}", gigabytes_text(row.memory_required_bytes), gigabytes_text(row.device_bytes)),
         alarming});
  }
  std::vector<Label> own;
  for (const Label label : row.labels)
    if (on_rows.contains(label)) own.push_back(label);
  const bool impossible = std::find(own.begin(), own.end(), Label::impossible) != own.end();
  if (!own.empty()) result.push_back({shown(TableCell{own}, Form::text), alarming || impossible});
  return result;
}

const ModelRecord* find_model(const ResultFile& file, const std::string& name) {
  const auto found =
      std::find_if(file.models.begin(), file.models.end(), [&](const ModelRecord& m) { return m.name == name; });
  return found == file.models.end() ? nullptr : &*found;
}

std::string facts_of(const ResultFile& file, const ModelRow& row) {
  std::vector<std::string> parts;
  if (const ModelRecord* model = find_model(file, row.model)) {
    const auto total = static_cast<double>(model->parameters_total),
               active = static_cast<double>(model->parameters_active);
    if (model->experts) {
      const std::int64_t cards = model->parameters_active_with_embedding.value_or(model->parameters_active);
      parts.push_back(fmt::format("{} parameters, {} active{}", count_text(total), count_text(active),
                                  cards == model->parameters_active
                                      ? ""
                                      : fmt::format(" ({} with embedding)", count_text(static_cast<double>(cards)))));
      if (model->top_k) parts.push_back(fmt::format("{} of {} experts", *model->top_k, *model->experts));
    } else {
      parts.push_back(fmt::format("{} parameters", count_text(total)));
    }
  }
  parts.push_back(routing_text(row.routing));
  return joined(parts, " · ");
}

// What the rows of one block share.
ScenarioRecord block_of(const ScenarioRecord& row) {
  return without(row, {Member::model, Member::batch, Member::routing});
}

// Of one layer, and of the whole model.
std::array<Columns, 2> panel_columns(Look look, bool decode) {
  look.decode = decode;
  return {Columns(behind_identity(columns_of(columns(false, look)))),
          Columns(behind_identity(columns_of(columns(true, look))))};
}

Table start_block(const ModelRow& row, const std::array<Columns, 2>& both) {
  const bool decode = row.phase == "decode";
  Table table;
  table.title = decode ? "Decode" : "Prefill";
  table.about = joined({decode ? "one new token for each sequence" : "the prompt, up to the first token",
                        fmt::format("{} {}", row.context, decode ? "tokens cached" : "prompt tokens"), types_text(row)},
                       " · ");
  table.frame = Frame::grid;
  table.notes = Notes::beside;
  table.notes_column = true;
  table.facts_below = true;
  table.panels = {{.columns = both[0]},
                  {.title = "whole model", .title_align = Align::left, .columns = both[1], .tail = 0, .strong = true}};
  return table;
}

Row row_of(const Subject& subject, std::vector<TableCell> identity, Place place) {
  static const std::array<std::vector<ColumnOf<Subject>>, 2> kCells = {columns(false, {}), columns(true, {})};
  const auto& own = kCells[subject.part == nullptr];
  Row row{std::move(identity), place};
  row.cells.reserve(row.cells.size() + own.size());
  for (const auto& column : own) row.cells.push_back(column.cell(subject));
  return row;
}

// ---- The screen: whole models alone, all phases in one table.

// What a row of the screen says before its numbers. What is the same for all rows stands above the table instead.
std::vector<ColumnOf<Subject>> screen_columns(bool has_contexts, bool has_types, bool has_routings) {
  std::vector<ColumnOf<Subject>> all = {
      {{.head = "model", .width = 10, .most = 30, .align = Align::left, .shrinks = true},
       [](const Subject& s) { return text_cell(s.first ? plain(s.model.model, 80) : ""); }},
  };
  if (has_types)
    all.push_back({{.head = "weights", .width = 7, .most = 14, .align = Align::left},
                   [](const Subject& s) { return text_cell(plain(s.model.weight_type, 20)); }});
  if (has_routings)
    all.push_back({{.head = "routing", .width = 8, .most = 12, .align = Align::left, .leaves = 7},
                   [](const Subject& s) { return text_cell(plain(s.model.routing, 40)); }});
  all.push_back({{.head = "phase", .width = 7, .align = Align::left},
                 [](const Subject& s) { return text_cell(plain(s.model.phase, 20)); }});
  all.push_back({{.head = "batch", .width = 5, .most = 8}, [](const Subject& s) { return TableCell{s.model.batch}; }});
  if (has_contexts)
    all.push_back(
        {{.head = "context", .width = 7, .leaves = 8}, [](const Subject& s) { return TableCell{s.model.context}; }});
  return all;
}

// The points in the order of phases and models, each where it comes first in the file.
std::vector<const ModelRow*> screen_rows(const Summary& summary) {
  std::vector<std::string> phases, models;
  const auto rank = [](std::vector<std::string>& seen, const std::string& name) {
    const auto at = std::find(seen.begin(), seen.end(), name);
    if (at != seen.end()) return at - seen.begin();
    seen.push_back(name);
    return static_cast<std::ptrdiff_t>(seen.size()) - 1;
  };
  std::vector<std::pair<std::pair<std::ptrdiff_t, std::ptrdiff_t>, const ModelRow*>> rows;
  for (const ModelRow& row : summary.models) rows.push_back({{rank(phases, row.phase), rank(models, row.model)}, &row});
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const ModelRow*> sorted;
  for (const auto& [key, row] : rows) sorted.push_back(row);
  return sorted;
}

Row screen_row(const Subject& subject, const std::vector<ColumnOf<Subject>>& before) {
  Row row = row_of(subject, cells_of(before, subject), {});
  row.place.reset();
  if (!subject.model.time_s) {
    const bool alarming = subject.model.outcome == Outcome::wrong || subject.model.outcome == Outcome::failed;
    row.cells[before.size()] = {
        Absent{std::string(text_of(subject.model.outcome).shown), plain(subject.model.why), alarming}};
  }
  return row;
}

// "61.1 to 67.7 GB are needed, there are 25.3 GB".
std::string needs_text(const Summary& summary) {
  double least = INFINITY, most = 0, has = 0;
  for (const ModelRow& row : summary.models)
    if (row.fits && !*row.fits) {
      least = std::min(least, *row.memory_required_bytes);
      most = std::max(most, *row.memory_required_bytes);
      has = *row.device_bytes;
    }
  const std::string range = least == most ? gigabytes_text(most) : digits(least / 1e9) + " to " + gigabytes_text(most);
  return fmt::format("{} ({}, there are {})", kDoesNotFit, range, gigabytes_text(has));
}

Table screen_table(const Summary& summary, const Look& look) {
  const auto differ = [&](auto member) {
    return std::any_of(summary.models.begin(), summary.models.end(),
                       [&](const ModelRow& row) { return member(row) != member(summary.models.front()); });
  };
  std::map<std::string, std::set<std::int64_t>> contexts;  // of each phase
  std::set<std::string> routings;
  for (const ModelRow& row : summary.models) {
    contexts[row.phase].insert(row.context);
    if (!row.routing.empty()) routings.insert(row.routing);
  }
  const bool has_contexts =
      std::any_of(contexts.begin(), contexts.end(), [](const auto& phase) { return phase.second.size() > 1; });
  const bool has_types = differ([](const ModelRow&row) { return row.weight_type; }), has_routings = routings.size() > 1;
  const auto before = screen_columns(has_contexts, has_types, has_routings);
  std::vector<Column> all = columns_of(before);
  for (Column& column : columns_of(columns(true, look))) all.push_back(std::move(column));

  Table table;
  table.title = "What a token costs";
  table.frame = Frame::none;
  std::vector<std::string> about;
  for (const auto& [phase, of] : contexts) {
    const std::int64_t tokens = *of.begin();
    if (!has_contexts)
      about.push_back(phase == "decode" ? fmt::format("{} cached", tokens) : fmt::format("prompts of {}", tokens));
  }
  about = {joined(about, ", ")};
  if (!has_types) about.push_back(types_text(summary.models.front()));
  if (routings.size() == 1) about.push_back(routing_text(*routings.begin()));
  table.about = joined(about, " · ");
  table.panels.push_back({.columns = Columns(std::move(all)), .tail = 0});
  Group group;
  const ModelRow* above = nullptr;
  bool all_fit = true;
  for (const ModelRow* row : screen_rows(summary)) {
    const bool first = above == nullptr || above->model != row->model || above->phase != row->phase;
    Row& shown = group.entries.emplace_back(Entry{{{screen_row({*row, nullptr, first}, before)}}}).panels[0][0];
    above = row;
    if (!row->fits || *row->fits || !row->time_s) continue;
    all_fit = false;
    for (std::size_t c = 0; c < shown.cells.size(); ++c)
      if (table.panels[0].columns[c].marked && !absent(shown.cells[c])) shown.cells[c].mark = "*";
  }
  table.groups.push_back(std::move(group));
  if (!all_fit) table.footnotes.push_back(needs_text(summary));
  return table;
}

}  // namespace

Section models_section(const ResultFile& file, const Summary& summary, const View& view) {
  Section section;
  Look look;
  look.money = file.price.has_value();
  if (!view.detail && has_whole_models(summary)) {
    look.screen = true;
    section.tables.push_back(screen_table(summary, look));
    return section;
  }
  if (!view.detail && !summary.layers.empty()) return section;  // the layers stand beside other programs'
  look.nominal = std::any_of(summary.models.begin(), summary.models.end(),
                             [](const ModelRow& m) { return m.nominal_fraction.has_value(); });
  const std::array both = {panel_columns(look, false), panel_columns(look, true)};  // prefill, decode
  std::map<ScenarioRecord, std::size_t> blocks;
  std::set<Label> on_rows;
  for (const LabelText& label : label_texts())
    if (use_of(label.label, summary).on_rows) on_rows.insert(label.label);
  for (std::size_t point = 0; point < summary.models.size(); ++point) {
    const ModelRow& row = summary.models[point];
    const auto [block, fresh] = blocks.try_emplace(block_of(row), section.tables.size());
    if (fresh) section.tables.push_back(start_block(row, both[row.phase == "decode"]));
    std::vector<Group>& groups = section.tables[block->second].groups;
    const std::string title = plain(row.model, 80), facts = facts_of(file, row);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& g) { return g.title == title && g.facts == facts; });
    if (group == groups.end()) group = groups.insert(groups.end(), {title, facts});
    Entry entry{{{}, {}}, notes(row, on_rows)};
    for (std::size_t p = 0; p < row.parts.size(); ++p)
      entry.panels[0].push_back(
          row_of({row, &row.parts[p], p == 0}, identity_cells(file, row, row.parts[p].kind, "layer"), {point, p, 0}));
    entry.panels[1].push_back(
        row_of({row, nullptr, true}, identity_cells(file, row, "model"), {point, kWholeModel, 0}));
    group->entries.push_back(std::move(entry));
  }
  if (section.tables.empty()) section.tables.push_back(start_block({}, both[false]));  // the data have their head
  return section;
}

}  // namespace layercost

// One price for a mix of input, cached input and output.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

const std::vector<ColumnOf<BlendRow>>& columns() {
  static const std::vector<ColumnOf<BlendRow>> all = {
      {{.title = "model", .head = "model", .width = 10, .most = 30, .gap = 3, .align = Align::left, .shrinks = true},
       [](const BlendRow& r) { return text_cell(plain(r.model, 80)); }},
      {{.key = "prompt",
        .meaning = "of a blend: sequences x tokens of the prefill point",
        .title = "prompt",
        .head = "prompt",
        .width = 12,
        .most = 20,
        .leaves = 2},
       [](const BlendRow& r) { return text_cell(fmt::format("{} x {}", r.prompt_batch, r.prompt_tokens)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const BlendRow& r) { return TableCell{r.batch}; }},
      {{.title = "cached", .head = "cached", .width = 8}, [](const BlendRow& r) { return TableCell{r.context}; }},
      {{.key = "input_usd_per_mtok", .title = "input", .head = "input", .width = 9, .form = Form::number},
       [](const BlendRow& r) { return number_cell(r.input_usd_per_mtok); }},
      {{.key = "output_usd_per_mtok", .title = "output", .head = "output", .width = 9, .form = Form::number},
       [](const BlendRow& r) { return number_cell(r.output_usd_per_mtok); }},
      {{.key = "blended_usd_per_mtok",
        .title = "blended",
        .head = "blended",
        .width = 9,
        .form = Form::number,
        .strong = true},
       [](const BlendRow& r) { return number_cell(r.blended_usd_per_mtok); }},
      {{.key = "on_output_usd_per_mtok",
        .title = "on output",
        .head = "on output",
        .width = 10,
        .form = Form::number,
        .leaves = 1},
       [](const BlendRow& r) { return number_cell(r.on_output_usd_per_mtok); }},
  };
  return all;
}

}  // namespace

Section blends_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  Table table;
  std::vector<Column> own = columns_of(columns());
  for (Column& column : own) column.if_any = true;
  table.panels.push_back({.columns = behind_identity(std::move(own)), .tail = 0});
  table.shown = !summary.blends.empty() || (file.price && file.price->mix);
  if (!table.shown) {  // data have the columns, if any other file fills them
    section.tables.push_back(std::move(table));
    return section;
  }
  const MixRecord& mix = *file.price->mix;
  table.title = "One price for all tokens";
  table.about = fmt::format("$ per Mtok · {}: {:.3g} % input, {:.3g} % cached, {:.3g} % output", plain(mix.name, 12),
                            100 * mix.input, 100 * mix.cached_input, 100 * mix.output);
  Group group;
  for (const BlendRow& row : summary.blends) {
    std::vector<TableCell> cells = identity_cells(file, summary.models[row.point], "blend");
    for (TableCell& cell : cells_of(columns(), row)) cells.push_back(std::move(cell));
    Entry entry{{{{std::move(cells), Place{row.point, kWholeModel, 1}}}}};
    if (!row.note.empty()) entry.notes.push_back({row.note});
    group.entries.push_back(std::move(entry));
  }
  if (group.entries.empty())
    group.sentences.push_back("no model has a decode and a prefill point of the same kind here");
  table.groups.push_back(std::move(group));
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

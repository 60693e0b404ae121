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
      {{.title = "prompt", .head = "prompt", .width = 12, .most = 20},
       [](const BlendRow& r) { return text_cell(fmt::format("{} x {}", r.prompt_batch, r.prompt_tokens)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const BlendRow& r) { return TableCell{r.batch}; }},
      {{.title = "cached", .head = "cached", .width = 8}, [](const BlendRow& r) { return TableCell{r.context}; }},
      {{.title = "input", .head = "input", .width = 9, .form = Form::number},
       [](const BlendRow& r) { return number_cell(r.input_usd_per_mtok); }},
      {{.title = "output", .head = "output", .width = 9, .form = Form::number},
       [](const BlendRow& r) { return number_cell(r.output_usd_per_mtok); }},
      {{.title = "blended", .head = "blended", .width = 9, .form = Form::number, .strong = true},
       [](const BlendRow& r) { return number_cell(r.blended_usd_per_mtok); }},
      {{.title = "on output", .head = "on output", .width = 10, .form = Form::number},
       [](const BlendRow& r) { return number_cell(r.on_output_usd_per_mtok); }},
  };
  return all;
}

}  // namespace

Section blends_section(const ResultFile& file, const Summary& summary) {
  Section section;
  if (summary.blends.empty()) return section;
  const MixRecord& mix = *file.price->mix;
  Table table;
  table.title = "One price for all tokens";
  table.about = fmt::format("$ per Mtok · mix {}: {:.4g} % input, {:.4g} % cached input, {:.4g} % output",
                            plain(mix.name, 40), 100 * mix.input, 100 * mix.cached_input, 100 * mix.output);
  table.panels.push_back({.columns = columns_of(columns()), .tail = 0});
  Group group;
  for (const BlendRow& row : summary.blends) {
    Entry entry{{{{cells_of(columns(), row)}}}};
    if (!row.note.empty()) entry.notes.push_back({row.note});
    group.entries.push_back(std::move(entry));
  }
  table.groups.push_back(std::move(group));
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/document.h"

#include <algorithm>

#include "harness/report/text.h"

namespace layercost {

bool is_text(const Column& column) { return column.form == Form::text && column.align == Align::left; }

std::string document_text(const TableCell& cell, Form form) {
  const Absent* a = absent(cell);
  return a == nullptr || a->reason.empty() ? shown(cell, form) : a->word + ": " + a->reason;
}

std::vector<const Column*> document_columns(const Table& table) {
  std::vector<const Column*> all;
  for (const Panel& panel : table.panels)
    for (const Column& column : panel.columns)
      if (column.in_document()) all.push_back(&column);
  return all;
}

std::vector<DocumentRow> document_rows(const Table& table, const Entry& entry) {
  std::size_t rows = 0;
  for (const auto& panel : entry.panels) rows = std::max(rows, panel.size());
  std::vector<DocumentRow> all(rows);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t p = 0; p < table.panels.size(); ++p) {
      const Columns& columns = table.panels[p].columns;
      for (std::size_t c = 0; c < columns.size(); ++c)
        if (columns[c].in_document())
          all[r].push_back(r < entry.panels[p].size() ? &entry.panels[p][r].cells[c] : nullptr);
    }
  return all;
}

std::vector<std::vector<std::string>> document_cells(const Table& table, const Entry& entry) {
  const std::vector<const Column*> columns = document_columns(table);
  std::vector<std::vector<std::string>> all;
  for (const DocumentRow& row : document_rows(table, entry)) {
    std::vector<std::string>& cells = all.emplace_back();
    for (std::size_t c = 0; c < row.size(); ++c)
      cells.push_back(row[c] == nullptr ? "" : document_text(*row[c], columns[c]->form));
    if (!table.notes_column) continue;
    std::string notes;
    for (const Note& note : entry.notes)
      if (all.size() == 1) notes += (notes.empty() ? "" : "; ") + note.text;
    cells.push_back(std::move(notes));
  }
  return all;
}

std::vector<std::string> document_sentences(const Table& table, const Group& group) {
  std::vector<std::string> texts = group.sentences;
  if (table.facts_below && !group.facts.empty()) texts.insert(texts.begin(), group.facts);
  return texts;
}

}  // namespace layercost

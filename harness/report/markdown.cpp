// SPDX-License-Identifier: Apache-2.0
#include "harness/report/markdown.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/report/section.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

// Cells are escaped here, so that no caller can forget.
void print_cells(std::string& out, const std::vector<std::string>& cells) {
  out += "|";
  for (const std::string& cell : cells) out += " " + markdown_text(cell) + (cell.empty() ? "|" : " |");
  out += "\n";
}

void print_list(std::string& out, const Section& section) {
  if (!section.items.empty() && !section.title.empty()) out += fmt::format("\n### {}\n\n", section.title);
  for (const NamedText& line : section.items)
    if (!line.terminal_only) out += fmt::format("- **{}**: {}\n", markdown_text(line.name), markdown_text(line.text));
}

void print_head(std::string& out, const Table& table) {
  std::vector<std::string> names;
  std::string rule = "|";
  for (const Panel& panel : table.panels)
    for (const Column& column : panel.columns) {
      if (!column.in_document()) continue;
      names.push_back(column.title);
      rule += column.form == Form::text && column.align == Align::left ? " --- |" : " ---: |";
    }
  if (table.notes_column) {
    names.emplace_back("notes");
    rule += " --- |";
  }
  print_cells(out, names);
  out += rule + "\n";
}

std::string text_of(const TableCell& cell, const Column& column) {
  const Absent* a = absent(cell);
  return a == nullptr || a->reason.empty() ? shown(cell, column.form) : a->word + ": " + a->reason;
}

std::string notes_of(const Entry& entry) {
  std::string text;
  for (const Note& note : entry.notes) text += (text.empty() ? "" : "; ") + note.text;
  return text;
}

void print_entry(std::string& out, const Table& table, const Entry& entry) {
  std::size_t rows = 0;
  for (const auto& panel : entry.panels) rows = std::max(rows, panel.size());
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<std::string> cells;
    for (std::size_t p = 0; p < table.panels.size(); ++p) {
      const Columns& columns = table.panels[p].columns;
      for (std::size_t c = 0; c < columns.size(); ++c) {
        if (!columns[c].in_document()) continue;
        cells.push_back(r < entry.panels[p].size() ? text_of(entry.panels[p][r].cells[c], columns[c]) : "");
      }
    }
    if (table.notes_column) cells.push_back(r == 0 ? notes_of(entry) : "");
    print_cells(out, cells);
  }
}

void print_table(std::string& out, const Table& table) {
  if (!table.shown || table.groups.empty()) return;
  out += fmt::format("\n### {}: {}\n\n", markdown_text(table.title), markdown_text(table.about));
  print_head(out, table);
  std::string below;
  for (const Group& group : table.groups) {
    for (const Entry& entry : group.entries) print_entry(out, table, entry);
    std::vector<std::string> texts = group.sentences;
    if (table.facts_below && !group.facts.empty()) texts.insert(texts.begin(), group.facts);
    for (const std::string& text : texts)
      below += fmt::format("- {}: {}\n", markdown_text(group.title), markdown_text(text));
  }
  if (!below.empty()) out += "\n" + below;
}

}  // namespace

std::string markdown_text(std::string_view text) {
  constexpr std::string_view kMarkup = "\\`*_{}[]#!|~$";
  std::string out;
  for (const char c : plain(text, 5000)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '@':
        out += "&#64;";
        break;  // or GitHub notifies whoever has that name
      default:
        if (kMarkup.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
  }
  return out;
}

std::string markdown_of(const Section& section) {
  std::string out;
  print_list(out, section);
  for (const Table& table : section.tables) print_table(out, table);
  return out;
}

std::string render_markdown(std::span<const ResultFile> files, const ReportOptions&) {
  std::string out;
  for (const ResultFile& file : files) {
    if (!out.empty()) out += "\n---\n\n";
    out += fmt::format("## What a token costs on {}\n\n", markdown_text(file.environment.device_name));
    for (const Section& section : sections_of(file)) out += markdown_of(section);
  }
  return out;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/markdown.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/report/document.h"
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
  for (const Column* column : document_columns(table)) {
    names.push_back(column->title);
    rule += is_text(*column) ? " --- |" : " ---: |";
  }
  if (table.notes_column) {
    names.emplace_back("notes");
    rule += " --- |";
  }
  print_cells(out, names);
  out += rule + "\n";
}

void print_table(std::string& out, const Table& table) {
  if (!table.shown || table.groups.empty()) return;
  out += fmt::format("\n### {}: {}\n\n", markdown_text(table.title), markdown_text(table.about));
  print_head(out, table);
  std::string below;
  for (const Group& group : table.groups) {
    for (const Entry& entry : group.entries)
      for (const std::vector<std::string>& row : document_cells(table, entry)) print_cells(out, row);
    for (const std::string& text : document_sentences(table, group))
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

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "harness/report/section.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

class Paint {
 public:
  explicit Paint(bool on) : on_(on) {}
  std::string strong(const std::string& text) const { return with("1", text); }
  std::string faint(const std::string& text) const { return with("2", text); }
  std::string alarm(const std::string& text) const { return with("31", text); }
  std::string caution(const std::string& text) const { return with("33", text); }

 private:
  std::string with(const char* code, const std::string& text) const {
    return on_ && text.find_first_not_of(' ') != std::string::npos ? fmt::format("\x1b[{}m{}\x1b[0m", code, text)
                                                                   : text;
  }
  bool on_;
};

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

std::string padded(std::string_view text, std::size_t width, Align align) {
  return align == Align::left ? pad_right(text, width) : pad_left(text, width);
}

void print_line(std::string& out, std::string line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += line + "\n";
}

void print_list(std::string& out, const std::vector<NamedText>& lines, const Paint& paint) {
  std::size_t width = 0;
  for (const NamedText& line : lines) width = std::max(width, display_width(line.name));
  for (const NamedText& line : lines) {
    const std::vector<std::string> texts = wrap(line.text, kTableWidth - width - 3);
    for (std::size_t i = 0; i < texts.size(); ++i)
      print_line(out, " " + paint.faint(pad_right(i == 0 ? line.name : "", width)) + "  " + texts[i]);
  }
}

std::string cell_text(const TableCell& cell, const Column& column) {
  const std::string text = plain(shown(cell, column.form), 200) + cell.mark;
  return column.marked && cell.mark.empty() ? text + " " : text;
}

// Of `whole`: the strong part, the middle one, the rest.
std::string bar_text(const Bar& bar, std::size_t width, const Paint& paint) {
  const auto cells = [&](double value) {
    return static_cast<std::size_t>(std::lround(std::clamp(value / bar.whole, 0.0, 1.0) * static_cast<double>(width)));
  };
  const std::size_t strong = cells(bar.strong), middle = std::max(strong, cells(bar.middle));
  return paint.strong(repeated("█", strong)) + repeated("▒", middle - strong) +
         paint.faint(repeated("░", width - middle));
}

bool is_blank(const Row& row, const Panel& panel) {
  for (std::size_t c = 0; c < row.cells.size(); ++c)
    if (panel.columns[c].on_terminal() && !shown(row.cells[c], panel.columns[c].form).empty()) return false;
  return true;
}

// The width of every column of every panel: the same for all tables of a section.
using Widths = std::vector<std::vector<std::size_t>>;

std::size_t panel_width(const Panel& panel, const std::vector<std::size_t>& widths) {
  std::size_t width = panel.tail;
  for (std::size_t c = 0; c < widths.size(); ++c)
    if (panel.columns[c].on_terminal()) width += panel.columns[c].gap + widths[c];
  return width;
}

Widths widths_of(const Section& section) {
  Widths widths;
  for (const Table& table : section.tables) {
    widths.resize(std::max(widths.size(), table.panels.size()));
    for (std::size_t p = 0; p < table.panels.size(); ++p) {
      const Columns& columns = table.panels[p].columns;
      widths[p].resize(columns.size());
      for (std::size_t c = 0; c < columns.size(); ++c) {
        std::size_t& width = widths[p][c];
        width = std::max(width, columns[c].width);
        if (columns[c].most <= columns[c].width) continue;
        for (const Group& group : table.groups)
          for (const Entry& entry : group.entries)
            for (const Row& row : entry.panels[p])
              width = std::max(width, display_width(cell_text(row.cells[c], columns[c])));
        width = std::min(width, columns[c].most);
      }
    }
  }
  if (widths.empty()) return widths;
  // Together they must not be too wide: the first panel with one other.
  const Table& table = section.tables.front();
  std::size_t all = panel_width(table.panels[0], widths[0]);
  if (widths.size() > 1) all += panel_width(table.panels[1], widths[1]) + (table.frame == Frame::line ? 0 : 1);
  for (std::size_t c = 0; c < widths[0].size(); ++c)
    if (table.panels[0].columns[c].shrinks && all > kTableWidth) {
      const std::size_t less = std::min(widths[0][c], all - kTableWidth);
      widths[0][c] -= less;
      all -= less;
    }
  return widths;
}

// One table, or as many of its panels side by side as the width allows: always the first, and those of `panels`.
class Piece {
 public:
  Piece(const Table& table, const Widths& widths, std::vector<std::size_t> panels, const Paint& paint)
      : table_(table), widths_(widths), panels_(std::move(panels)), paint_(paint) {}

  void print(std::string& out, bool further) const {
    if (table_.frame == Frame::line) {
      if (further) print_line(out, "");
      else print_line(out, paint_.faint(repeated("─", kTableWidth)));
    } else {
      print_line(out, paint_.faint(ruler("┬")));
    }
    print_heads(out);
    if (table_.frame == Frame::grid) print_line(out, paint_.faint(ruler("┼")));
    for (const Group& group : table_.groups) print_group(out, group);
  }

 private:
  std::string ruler(const char* joint) const {
    std::string text;
    for (const std::size_t p : panels_)
      text += (p == panels_.front() ? "" : joint) + repeated("─", panel_width(table_.panels[p], widths_[p]));
    return text;
  }

  std::string join(const std::vector<std::string>& pieces) const {
    std::string line;
    for (std::size_t i = 0; i < pieces.size(); ++i)
      line += (i > 0 && table_.frame != Frame::line ? paint_.faint("│") : "") + pieces[i];
    return line;
  }

  void print_heads(std::string& out) const {
    std::vector<std::string> over, heads;
    for (const std::size_t p : panels_) {
      const Panel& panel = table_.panels[p];
      const std::size_t width = panel_width(panel, widths_[p]);
      std::string above, head;
      for (std::size_t c = 0; c < panel.columns.size(); ++c) {
        const Column& column = panel.columns[c];
        if (!column.on_terminal()) continue;
        if (head.empty() && !panel.title.empty()) {
          const std::size_t room = width - column.gap - panel.tail;
          const std::string title = shorten(panel.title, room);
          above = std::string(column.gap, ' ') + (panel.title_align == Align::left ? title : pad_left(title, room));
        }
        head += std::string(column.gap, ' ') + padded(column.head, widths_[p][c], column.align);
        if (!column.over.empty())
          above = pad_right(above, display_width(head) - display_width(column.over)) + column.over;
      }
      over.push_back(paint_.faint(pad_right(above, width)));
      heads.push_back(paint_.faint(pad_right(head, width)));
    }
    if (join(over).find_first_not_of(' ') != std::string::npos) print_line(out, join(over));
    print_line(out, join(heads));
  }

  void print_group(std::string& out, const Group& group) const {
    const auto is_there = [&](const Entry& entry) {
      return std::any_of(panels_.begin() + 1, panels_.end(), [&](std::size_t p) {
        return std::any_of(entry.panels[p].begin(), entry.panels[p].end(),
                           [&](const Row& row) { return !is_blank(row, table_.panels[p]); });
      });
    };
    if (panels_.size() > 1 && table_.notes != Notes::beside &&
        std::none_of(group.entries.begin(), group.entries.end(), is_there))
      return;
    if (!group.title.empty()) {
      constexpr std::size_t kTitle = 68;
      const std::string title = shorten(plain(group.title), kTitle);
      print_line(out, " " + paint_.strong(title) + "  " +
                          paint_.faint(shorten(plain(group.facts), kTableWidth - 3 - display_width(title))));
    }
    for (const Entry& entry : group.entries) print_entry(out, entry);
    for (const std::string& sentence : group.sentences)
      for (const std::string& line : wrap(sentence, kTableWidth - 3)) print_line(out, "   " + line);
  }

  struct Beside {
    std::string text;
    bool alarming;
  };

  void print_entry(std::string& out, const Entry& entry) const {
    const std::size_t last = panels_.back();
    std::vector<Beside> beside;
    std::size_t first_note = 0, lines = 1;
    for (const std::size_t p : panels_) lines = std::max(lines, entry.panels[p].size());
    if (table_.notes == Notes::beside) {
      for (const Row& row : entry.panels[last]) first_note += !is_blank(row, table_.panels[last]);
      const std::size_t room = panel_width(table_.panels[last], widths_[last]) - 3;
      for (const Note& note : entry.notes)
        for (std::string& line : wrap(note.text, room)) beside.push_back({std::move(line), note.alarming});
      lines = std::max(lines, first_note + beside.size());
    }
    for (std::size_t i = 0; i < lines; ++i) {
      std::vector<std::string> pieces;
      for (const std::size_t p : panels_) {
        const bool note = p == last && i >= first_note && i - first_note < beside.size();
        if (note) {
          const Beside& b = beside[i - first_note];
          pieces.push_back("   " + (b.alarming ? paint_.alarm(b.text) : paint_.faint(b.text)));
        } else if (i < entry.panels[p].size()) {
          pieces.push_back(row_text(entry.panels[p][i], p));
        } else {
          pieces.emplace_back(panel_width(table_.panels[p], widths_[p]), ' ');
        }
      }
      print_line(out, join(pieces));
    }
    if (table_.notes != Notes::below) return;
    for (const std::size_t p : panels_)
      for (const Row& row : entry.panels[p])
        for (const TableCell& cell : row.cells)
          if (const Absent* a = absent(cell); a != nullptr)
            for (const std::string& line : wrap(a->reason, kTableWidth - 6))
              print_line(out, "      " + paint_.faint(line));
  }

  std::string row_text(const Row& row, std::size_t p) const {
    const Panel& panel = table_.panels[p];
    std::string line;
    std::size_t used = 0;
    for (std::size_t c = 0; c < row.cells.size(); ++c) {
      const Column& column = panel.columns[c];
      if (!column.on_terminal()) continue;
      line += std::string(column.gap, ' ');
      used += column.gap;
      std::size_t width = widths_[p][c];
      if (const Bar* bar = std::get_if<Bar>(&row.cells[c].value)) {
        line += bar_text(*bar, width, paint_);
        used += width;
        continue;
      }
      // The word for what is absent has the place of the numbers that are absent with it.
      const Absent* a = absent(row.cells[c]);
      const bool in_place = a != nullptr && !a->word.empty() && column.align == Align::right;
      if (in_place) width = panel_width(panel, widths_[p]) - panel.tail - used;
      std::string text = cell_text(row.cells[c], column);
      if (!std::holds_alternative<Number>(row.cells[c].value)) text = shorten(text, width);  // a number is never cut
      text = padded(text, width, column.align);
      line += a != nullptr                    ? (a->alarming ? paint_.alarm(text) : paint_.caution(text))
              : panel.strong || column.strong ? paint_.strong(text)
                                              : text;
      if (in_place) return line + std::string(panel.tail, ' ');
      used += width;
    }
    return line + std::string(panel.tail, ' ');
  }

  const Table& table_;
  const Widths& widths_;
  std::vector<std::size_t> panels_;
  const Paint& paint_;
};

void print_table(std::string& out, const Table& table, const Widths& widths, const Paint& paint) {
  if (!table.shown || table.groups.empty()) return;
  std::string title = table.title;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  print_line(out,
             "\n " + paint.strong(title) + "  " + table.about + (table.reading.empty() ? "" : ": " + table.reading));
  const std::size_t divider = table.frame == Frame::line ? 0 : 1;
  std::size_t next = 1;
  do {
    std::vector<std::size_t> panels = {0};
    const bool further = next > 1;
    std::size_t width = panel_width(table.panels[0], widths[0]);
    for (; next < table.panels.size(); ++next) {
      width += divider + panel_width(table.panels[next], widths[next]);
      if (panels.size() > 1 && width > kTableWidth) break;
      panels.push_back(next);
    }
    Piece(table, widths, std::move(panels), paint).print(out, further);
  } while (next < table.panels.size());
  for (const std::string& footnote : table.footnotes) {
    const std::vector<std::string> lines = wrap(footnote, kTableWidth - 5);
    for (std::size_t i = 0; i < lines.size(); ++i) print_line(out, (i == 0 ? "   * " : "     ") + lines[i]);
  }
}

}  // namespace

std::string render_table(std::span<const ResultFile> files, const ReportOptions& options) {
  const Paint paint(options.colour);
  std::string out;
  for (const ResultFile& file : files) {
    if (!out.empty()) out += "\n\n";
    bool first = true;
    for (const Section& section : sections_of(file)) {
      if (!section.items.empty() && !first) out += "\n";
      first = false;
      print_list(out, section.items, paint);
      const Widths widths = widths_of(section);
      for (const Table& table : section.tables) print_table(out, table, widths, paint);
    }
  }
  return out;
}

}  // namespace layercost

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

// What it is shown on. Texts are asked for before they are laid out: some characters are written with several others.
class Screen {
 public:
  // `most`: beyond it a report's lines are hard to follow.
  Screen(const ReportOptions& o, std::size_t most)
      : colour_(o.colour), ascii_(o.ascii), width_(std::clamp(o.width, kLeastWidth, most)) {}
  std::size_t width() const { return width_; }
  bool is_ascii() const { return ascii_; }
  std::string text(std::string_view text) const { return ascii_ ? ascii_text(text) : std::string(text); }
  std::string repeated(std::string_view piece, std::size_t times) const {
    const std::string one = text(piece);
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += one;
    return all;
  }

  std::string strong(const std::string& text) const { return with("1", text); }
  std::string faint(const std::string& text) const { return with("2", text); }
  std::string alarm(const std::string& text) const { return with("31", text); }
  std::string caution(const std::string& text) const { return with("33", text); }

 private:
  std::string with(const char* code, const std::string& text) const {
    return colour_ && text.find_first_not_of(' ') != std::string::npos ? fmt::format("\x1b[{}m{}\x1b[0m", code, text)
                                                                       : text;
  }
  bool colour_, ascii_;
  std::size_t width_;
};

std::string padded(std::string_view text, std::size_t width, Align align) {
  return align == Align::left ? pad_right(text, width) : pad_left(text, width);
}

void print_line(std::string& out, std::string line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += line + "\n";
}

void print_list(std::string& out, const std::vector<NamedText>& lines, const Screen& screen) {
  std::size_t width = 0;
  for (const NamedText& line : lines) width = std::max(width, display_width(screen.text(line.name)));
  const std::size_t indent = width > 0 ? width + 3 : 1;
  for (const NamedText& line : lines) {
    const std::vector<std::string> texts = wrap(screen.text(line.text), screen.width() - indent);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string name = pad_right(i == 0 ? " " + screen.text(line.name) : "", indent);
      print_line(out, screen.faint(name) + texts[i]);
    }
  }
}

std::string cell_text(const TableCell& cell, const Column& column, const Screen& screen) {
  std::string text = plain(shown(cell, column.form), 200);
  // Its head has the sign, which takes three characters in ASCII.
  constexpr std::string_view kSign = "±";
  if (const std::size_t at = text.find(kSign); screen.is_ascii() && column.form == Form::spread && at < text.size())
    text.erase(at, kSign.size());
  text = screen.text(text) + cell.mark;
  return column.marked && cell.mark.empty() ? text + " " : text;
}

// Of `whole`: the strong part, the middle one, the rest.
std::string bar_text(const Bar& bar, std::size_t width, const Screen& screen) {
  const auto cells = [&](double value) {
    return static_cast<std::size_t>(std::lround(std::clamp(value / bar.whole, 0.0, 1.0) * static_cast<double>(width)));
  };
  const std::size_t strong = cells(bar.strong), middle = std::max(strong, cells(bar.middle));
  return screen.strong(screen.repeated("█", strong)) + screen.repeated("▒", middle - strong) +
         screen.faint(screen.repeated("░", width - middle));
}

bool is_blank(const Row& row, const Panel& panel) {
  for (std::size_t c = 0; c < row.cells.size(); ++c)
    if (panel.columns[c].on_terminal() && !shown(row.cells[c], panel.columns[c].form).empty()) return false;
  return true;
}

// The columns of every panel: the same for all tables of a section.
struct Layout {
  std::vector<std::vector<std::size_t>> widths;
  std::vector<std::vector<bool>> has;  // whether the column is shown

  std::size_t panel_width(const Panel& panel, std::size_t p) const {
    std::size_t width = panel.tail;
    for (std::size_t c = 0; c < widths[p].size(); ++c)
      if (has[p][c]) width += panel.columns[c].gap + widths[p][c];
    return width;
  }
};

// Columns as wide as their cells ask for: names up to their most, numbers always, for they are never cut.
Layout wished_layout(const Section& section, const Screen& screen) {
  Layout layout;
  for (const Table& table : section.tables) {
    const std::size_t panels = std::max(layout.widths.size(), table.panels.size());
    layout.widths.resize(panels);
    layout.has.resize(panels);
    for (std::size_t p = 0; p < table.panels.size(); ++p) {
      const Columns& columns = table.panels[p].columns;
      layout.widths[p].resize(columns.size());
      layout.has[p].resize(columns.size());
      for (std::size_t c = 0; c < columns.size(); ++c) {
        std::size_t& width = layout.widths[p][c];
        width = std::max(width, columns[c].width);
        layout.has[p][c] = columns[c].on_terminal();
        if (!columns[c].on_terminal()) continue;
        std::size_t numbers = 0, names = 0;
        for (const Group& group : table.groups)
          for (const Entry& entry : group.entries)
            for (const Row& row : entry.panels[p]) {
              if (c >= row.cells.size()) continue;
              const bool number = std::holds_alternative<Number>(row.cells[c].value);
              if (!number && columns[c].most <= columns[c].width) continue;
              std::size_t& wished = number ? numbers : names;
              wished = std::max(wished, display_width(cell_text(row.cells[c], columns[c], screen)));
            }
        width = std::max({width, numbers, std::min(names, columns[c].most)});
      }
    }
  }
  return layout;
}

// By how much the first panel with one other is wider than the screen.
std::size_t excess(const Layout& layout, const Table& table, const Screen& screen) {
  std::size_t all = layout.panel_width(table.panels[0], 0);
  if (layout.widths.size() > 1)
    all += layout.panel_width(table.panels[1], 1) + (table.frame == Frame::line || table.frame == Frame::none ? 0 : 1);
  return all > screen.width() ? all - screen.width() : 0;
}

void shrink_names(Layout& layout, const Table& table, const Screen& screen, bool below_least) {
  for (std::size_t c = 0; c < layout.widths[0].size(); ++c) {
    const Column& column = table.panels[0].columns[c];
    std::size_t& width = layout.widths[0][c];
    const std::size_t least = below_least ? 0 : std::min(column.width, width);
    if (column.shrinks && layout.has[0][c]) width -= std::min(width - least, excess(layout, table, screen));
  }
}

// Names give way down to their least width, then columns leave, then names give way further.
Layout layout_of(const Section& section, const Screen& screen) {
  const Layout wished = wished_layout(section, screen);
  if (wished.widths.empty()) return wished;
  const Table& table = section.tables.front();
  int last = 0;
  for (const Panel& panel : table.panels)
    for (const Column& column : panel.columns) last = std::max(last, column.leaves);
  Layout layout;
  for (int leaving = 0; leaving <= last; ++leaving) {
    layout = wished;
    for (std::size_t p = 0; p < table.panels.size(); ++p)
      for (std::size_t c = 0; c < layout.has[p].size(); ++c)
        if (const int leaves = table.panels[p].columns[c].leaves; leaves > 0 && leaves <= leaving)
          layout.has[p][c] = false;
    shrink_names(layout, table, screen, false);
    if (excess(layout, table, screen) == 0) return layout;
  }
  shrink_names(layout, table, screen, true);
  return layout;
}

// The heads of columns that a wider screen would show, each once.
std::vector<std::string> left_out(const Section& section, const Layout& layout, const Screen& screen) {
  std::vector<std::string> names;
  if (section.tables.empty() || !section.tables.front().shown || section.tables.front().groups.empty()) return names;
  const Table& table = section.tables.front();
  for (std::size_t p = 0; p < table.panels.size(); ++p)
    for (std::size_t c = 0; c < layout.has[p].size(); ++c) {
      const Column& column = table.panels[p].columns[c];
      const std::string name = screen.text(column.over.empty() ? column.head : column.over + " " + column.head);
      if (!layout.has[p][c] && column.on_terminal() && name.find_first_not_of(' ') != std::string::npos &&
          std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
    }
  return names;
}

// One table, or as many of its panels side by side as the width allows: always the first, and those of `panels`.
class Piece {
 public:
  Piece(const Table& table, const Layout& layout, std::vector<std::size_t> panels, const Screen& screen)
      : table_(table), layout_(layout), panels_(std::move(panels)), screen_(screen) {}

  void print(std::string& out, bool further) const {
    if (is_divided()) print_line(out, screen_.faint(ruler("┬")));
    else if (further) print_line(out, "");
    else if (table_.frame == Frame::line) print_line(out, screen_.faint(screen_.repeated("─", screen_.width())));
    print_heads(out);
    if (table_.frame == Frame::grid) print_line(out, screen_.faint(ruler("┼")));
    for (const Group& group : table_.groups) print_group(out, group);
  }

 private:
  bool is_divided() const { return table_.frame == Frame::panels || table_.frame == Frame::grid; }
  const std::size_t& width(std::size_t p, std::size_t c) const { return layout_.widths[p][c]; }
  std::size_t panel_width(std::size_t p) const { return layout_.panel_width(table_.panels[p], p); }

  std::string ruler(const char* joint) const {
    std::string text;
    for (const std::size_t p : panels_)
      text += (p == panels_.front() ? "" : screen_.text(joint)) + screen_.repeated("─", panel_width(p));
    return text;
  }

  std::string join(const std::vector<std::string>& pieces) const {
    std::string line;
    for (std::size_t i = 0; i < pieces.size(); ++i)
      line += (i > 0 && is_divided() ? screen_.faint(screen_.text("│")) : "") + pieces[i];
    return line;
  }

  void print_heads(std::string& out) const {
    std::vector<std::string> over, heads;
    for (const std::size_t p : panels_) {
      const Panel& panel = table_.panels[p];
      const std::size_t all = panel_width(p);
      std::string above, head;
      for (std::size_t c = 0; c < panel.columns.size(); ++c) {
        const Column& column = panel.columns[c];
        if (!layout_.has[p][c]) continue;
        if (head.empty() && !panel.title.empty()) {
          const std::size_t room = all - column.gap - panel.tail;
          const std::string title = shorten(screen_.text(panel.title), room);
          above = std::string(column.gap, ' ') + (panel.title_align == Align::left ? title : pad_left(title, room));
        }
        head += std::string(column.gap, ' ') + padded(screen_.text(column.head), width(p, c), column.align);
        if (!column.over.empty())
          above = pad_right(above, display_width(head) - display_width(column.over)) + column.over;
      }
      over.push_back(screen_.faint(pad_right(above, all)));
      heads.push_back(screen_.faint(pad_right(head, all)));
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
      const std::string title = shorten(screen_.text(plain(group.title)), screen_.width() - 32);
      print_line(out, " " + screen_.strong(title) + "  " +
                          screen_.faint(
                              shorten(screen_.text(plain(group.facts)), screen_.width() - 3 - display_width(title))));
    }
    for (const Entry& entry : group.entries) print_entry(out, entry);
    for (const std::string& sentence : group.sentences)
      for (const std::string& line : wrap(screen_.text(sentence), screen_.width() - 3)) print_line(out, "   " + line);
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
      const std::size_t room = panel_width(last) - 3;
      for (const Note& note : entry.notes)
        for (std::string& line : wrap(screen_.text(note.text), room))
          beside.push_back({std::move(line), note.alarming});
      lines = std::max(lines, first_note + beside.size());
    }
    for (std::size_t i = 0; i < lines; ++i) {
      std::vector<std::string> pieces;
      for (const std::size_t p : panels_) {
        const bool note = p == last && i >= first_note && i - first_note < beside.size();
        if (note) {
          const Beside& b = beside[i - first_note];
          pieces.push_back("   " + (b.alarming ? screen_.alarm(b.text) : screen_.faint(b.text)));
        } else if (i < entry.panels[p].size()) {
          pieces.push_back(row_text(entry.panels[p][i], p));
        } else {
          pieces.emplace_back(panel_width(p), ' ');
        }
      }
      print_line(out, join(pieces));
    }
    if (table_.notes != Notes::below) return;
    const auto print_below = [&](const std::string& text, bool alarming) {
      for (const std::string& line : wrap(screen_.text(text), screen_.width() - 6))
        print_line(out, "      " + (alarming ? screen_.alarm(line) : screen_.faint(line)));
    };
    for (const std::size_t p : panels_)
      for (const Row& row : entry.panels[p])
        for (const TableCell& cell : row.cells)
          if (const Absent* a = absent(cell); a != nullptr) print_below(a->reason, false);
    for (const Note& note : entry.notes) print_below(note.text, note.alarming);
  }

  std::string row_text(const Row& row, std::size_t p) const {
    const Panel& panel = table_.panels[p];
    std::string line;
    std::size_t used = 0;
    for (std::size_t c = 0; c < row.cells.size(); ++c) {
      const Column& column = panel.columns[c];
      if (!layout_.has[p][c]) continue;
      line += std::string(column.gap, ' ');
      used += column.gap;
      std::size_t room = width(p, c);
      if (const Bar* bar = std::get_if<Bar>(&row.cells[c].value)) {
        line += bar_text(*bar, room, screen_);
        used += room;
        continue;
      }
      // The word for what is absent has the place of the numbers that are absent with it.
      const Absent* a = absent(row.cells[c]);
      const bool in_place = a != nullptr && !a->word.empty() && column.align == Align::right;
      if (in_place) room = panel_width(p) - panel.tail - used;
      std::string text = cell_text(row.cells[c], column, screen_);
      if (!std::holds_alternative<Number>(row.cells[c].value)) text = shorten(text, room);  // a number is never cut
      text = padded(text, room, column.align);
      line += a != nullptr                    ? (a->alarming ? screen_.alarm(text) : screen_.caution(text))
              : panel.strong || column.strong ? screen_.strong(text)
                                              : text;
      if (in_place) return line + std::string(panel.tail, ' ');
      used += room;
    }
    return line + std::string(panel.tail, ' ');
  }

  const Table& table_;
  const Layout& layout_;
  std::vector<std::size_t> panels_;
  const Screen& screen_;
};

void print_title(std::string& out, const Table& table, const Screen& screen) {
  std::string title = screen.text(table.title);
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::string about = screen.text(table.about + (table.reading.empty() ? "" : ": " + table.reading));
  out += "\n";
  if (display_width(title) + display_width(about) + 3 <= screen.width())
    return print_line(out, " " + screen.strong(title) + "  " + about);
  print_line(out, " " + screen.strong(shorten(title, screen.width() - 1)));
  for (const std::string& line : wrap(about, screen.width() - 3)) print_line(out, "   " + line);
}

void print_table(std::string& out, const Table& table, const Layout& layout, const Screen& screen) {
  if (!table.shown || table.groups.empty()) return;
  if (!table.title.empty()) print_title(out, table, screen);
  const std::size_t divider = table.frame == Frame::panels || table.frame == Frame::grid ? 1 : 0;
  std::size_t next = 1;
  do {
    std::vector<std::size_t> panels = {0};
    const bool further = next > 1;
    std::size_t width = layout.panel_width(table.panels[0], 0);
    for (; next < table.panels.size(); ++next) {
      width += divider + layout.panel_width(table.panels[next], next);
      if (panels.size() > 1 && width > screen.width()) break;
      panels.push_back(next);
    }
    Piece(table, layout, std::move(panels), screen).print(out, further);
  } while (next < table.panels.size());
  for (const std::string& footnote : table.footnotes) {
    const std::vector<std::string> lines = wrap(screen.text(footnote), screen.width() - 5);
    for (std::size_t i = 0; i < lines.size(); ++i) print_line(out, (i == 0 ? "   * " : "     ") + lines[i]);
  }
}

void print_left_out(std::string& out, const std::vector<std::string>& names, const Screen& screen) {
  if (names.empty()) return;
  std::string text = fmt::format("not shown at {} columns: ", screen.width());
  for (const std::string& name : names) text += (name == names.front() ? "" : ", ") + name;
  out += "\n";
  for (const std::string& line : wrap(text, screen.width() - 1)) print_line(out, " " + screen.faint(line));
}

// The heads of columns that had to leave are added to `names`.
void print_section(std::string& out, const Section& section, const Screen& screen, std::vector<std::string>& names) {
  print_list(out, section.items, screen);
  const Layout layout = layout_of(section, screen);
  for (const Table& table : section.tables) print_table(out, table, layout, screen);
  for (const std::string& name : left_out(section, layout, screen))
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

std::string finished(std::string out, const std::vector<std::string>& names, const Screen& screen) {
  print_left_out(out, names, screen);
  return screen.text(out);  // what was cut ends in "…"
}

}  // namespace

std::string render_section(const Section& section, const ReportOptions& options) {
  const Screen screen(options, std::max(options.width, kLeastWidth));
  std::string out;
  std::vector<std::string> names;
  print_section(out, section, screen, names);
  return finished(std::move(out), names, screen);
}

std::string render_table(std::span<const ResultFile> files, const ReportOptions& options) {
  const Screen screen(options, kTableWidth);
  std::string out;
  for (const ResultFile& file : files) {
    std::string text;
    bool first = true;
    std::vector<std::string> names;
    for (const Section& section : sections_of(file, options.view)) {
      if (!section.items.empty() && !first) text += "\n";
      first = false;
      print_section(text, section, screen, names);
    }
    out += (out.empty() ? "" : "\n\n") + finished(std::move(text), names, screen);
  }
  return out;
}

}  // namespace layercost

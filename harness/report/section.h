// What:    what a report says, before any format: lists of named texts, and tables of typed cells. It is built once, by
//          sections/*.cpp, and rendered by table.cpp, markdown.cpp and csv.cpp, which know no metric and no section.
// Section: a list, or tables of one form. A table has panels side by side (one layer | whole model; ours | a program);
//          an entry has rows in each of them, a group has entries under a title.
// Column:  says where it is shown: on a terminal (width > 0), in a document (title), in data (key). A metric is one
//          column in one place; a section is one file in sections/ and one row of kSections.
// Data:    a row with a `place` is a row of the data, too; rows of all sections are put in the order of their places,
//          so that a layer and what other programs took for it follow one another.
// Units:   SI in cells; `form` says how people read them. Data gets every digit, people those that the interval
//          deserves.
// Rules:   what is absent is absent, with the reason where there is one, never 0. Texts may be foreign: a renderer
//          escapes all of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/report/view.h"
#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

struct Absent {
  std::string word;  // shown in its place: "out of memory"; "" for nothing
  std::string reason;
  bool alarming = false;
};
struct Number {
  double value = 0;
  std::optional<Interval> interval;
  std::optional<double> half_width;  // relative, where the precision is another number's; else of the interval
};
struct Bar {  // of `whole`: the strong part, and up to `middle` the weaker one
  double strong = 0, middle = 0, whole = 0;
};
struct TableCell {
  std::variant<Absent, std::string, std::int64_t, bool, Number, std::vector<Label>, std::vector<PriceLabel>, Bar> value;
  std::string mark = {};  // "*": a remark says why it must not stand alone
};

TableCell text_cell(std::string text);  // "" is absent
TableCell number_cell(std::optional<double> value, const std::optional<Interval>& interval = {},
                      std::optional<double> half_width = {});
TableCell ratio_cell(const std::optional<Ratio>& ratio);

enum class Form {
  text,
  time,     // s: "12.3 ms"
  spread,   // half the interval: "±1.2 %"
  range,    // "0.4 to 0.5"
  percent,  // of a fraction
  number,
  count,   // "1.23 M"
  times,  // of dense / MoE: "4.0×"
  ratio,  // of programs: "1.32×"
  bar,
};

enum class Align { left, right };

struct Column {
  std::string key = {}, low_key = {}, high_key = {};  // in data; low and high are the ends of the interval
  std::string meaning = {};                           // of a key that is no metric
  std::string title = {};                             // in a document
  std::string over = {}, head = {};                   // two lines on a terminal
  std::size_t width = 0, most = 0;  // on a terminal; grows with its cells up to `most`, if that is more
  std::size_t gap = 1;              // blanks before it
  Align align = Align::right;
  Form form = Form::text;
  bool shrinks = false;  // gives way where a line gets too long
  int leaves = 0;        // a terminal that is too narrow goes without: those with 1 first, 0 never
  bool strong = false;
  bool marked = false;         // keeps a place for a mark
  bool if_any = false;         // in data only if some row has a value
  std::string otherwise = {};  // in data, of rows that do not have the column

  bool on_terminal() const { return width > 0; }
  bool in_document() const { return !title.empty(); }
};

// Tables of one form share their columns: a report of 8000 contexts has a table for each of them.
class Columns {
 public:
  Columns() = default;
  Columns(std::vector<Column> all) : all_(std::make_shared<const std::vector<Column>>(std::move(all))) {}
  const Column* data() const { return all_->data(); }
  std::size_t size() const { return all_->size(); }
  const Column& operator[](std::size_t i) const { return (*all_)[i]; }
  auto begin() const { return all_->begin(); }
  auto end() const { return all_->end(); }

 private:
  std::shared_ptr<const std::vector<Column>> all_ = std::make_shared<const std::vector<Column>>();
};

// Of a row in data: the point, the part of it (kWholeModel behind all parts), and what comes behind that.
inline constexpr std::size_t kWholeModel = SIZE_MAX;
using Place = std::array<std::size_t, 3>;

struct Row {
  std::vector<TableCell> cells = {};  // one for each column of the panel
  std::optional<Place> place = {};
};

struct Note {
  std::string text;
  bool alarming = false;
};

struct Entry {
  std::vector<std::vector<Row>> panels;  // rows of each panel, side by side
  std::vector<Note> notes = {};
};

struct Group {
  std::string title, facts;
  std::vector<Entry> entries = {};
  std::vector<std::string> sentences = {};  // that follow from the group as a whole
};

struct Panel {
  std::string title = {};
  Align title_align = Align::right;
  Columns columns = {};
  std::size_t tail = 1;  // blanks behind it
  bool strong = false;
};

enum class Frame {
  none,
  line,    // a line above
  panels,  // a line above, panels divided
  grid,    // and a line below the heads
};
enum class Notes {
  below,   // under the row
  beside,  // in the last panel, under its rows
  marked,  // a terminal shows marks and the footnotes instead
};

struct Table {
  std::string title, about;
  std::string reading = {};  // how to read a number of it; on a terminal
  Frame frame = Frame::line;
  Notes notes = Notes::below;
  bool notes_column = false;  // in a document
  bool facts_below = false;   // in a document, of each group; else a column says them
  bool shown = true;          // false: data only
  std::vector<Panel> panels = {};
  std::vector<Group> groups = {};
  std::vector<std::string> footnotes = {};
};

struct NamedText {
  std::string name, text;
  bool terminal_only = false;
};

struct Section {
  std::string title = {};  // of a list
  std::vector<NamedText> items = {};
  std::vector<Table> tables = {};  // of the same panels and columns; heads may differ
  int leads = 0;                   // a page begins with the sections that have most
};

// Of one file, in the order in which they are read.
std::vector<Section> sections_of(const ResultFile& file, const View& view = {});

// As a person reads it, without marks and escapes; "" if it has nothing to show. An absent cell's word, not its reason.
std::string shown(const TableCell& cell, Form form);
const Absent* absent(const TableCell& cell);

}  // namespace layercost

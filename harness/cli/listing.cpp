// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/listing.h"

#include <algorithm>

#include "harness/cli/terminal.h"
#include "harness/report/table.h"
#include "harness/report/text.h"

namespace layercost {

Listing::Listing(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) {
    if (column.width == 0) column.width = std::max<std::size_t>(1, display_width(column.head));
    if (column.most == 0) column.most = 400;
  }
}

void Listing::add(std::vector<std::string> cells) {
  Row row;
  for (std::string& cell : cells) row.cells.push_back(text_cell(std::move(cell)));
  rows_.entries.push_back({{{std::move(row)}}});
}

std::string Listing::text() const {
  Table table;
  table.frame = Frame::none;
  table.panels.push_back({.columns = columns_, .tail = 0});
  table.groups.push_back(rows_);
  Section section;
  section.tables.push_back(std::move(table));
  ReportOptions options = screen_options({});
  options.width = stdout_width(kUnlimitedWidth);
  return render_section(section, options);
}

}  // namespace layercost

// What:    a table of texts on standard output, as wide as it is: names give way, then columns leave (report/table.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/report/section.h"

namespace layercost {

class Listing {
 public:
  // Widths are those of the widest cells, at most `most` where that is given.
  explicit Listing(std::vector<Column> columns);
  void add(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<Column> columns_;
  Group rows_;
};

}  // namespace layercost

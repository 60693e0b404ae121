// What:    how much a report says, and what it is shown on.
// Units:   width in columns of a terminal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace layercost {

// A screen shows whole models, what they cost, what the mixture saves and the verdict.
struct View {
  bool detail = true;   // single layers, limits and settings, too
  bool explain = true;  // what the words mean
  std::optional<double> min_tokens_per_s_user = {};  // names the cheapest point that keeps it
};

inline constexpr std::size_t kLeastWidth = 60, kTableWidth = 100;

struct ReportOptions {
  bool colour = false;              // only for a terminal that shows it
  bool ascii = false;               // no other characters
  std::size_t width = kTableWidth;  // of a table: taken as kLeastWidth to kTableWidth
  View view = {false, false};       // documents and data show everything
  std::string viewer = {};          // of a page: the script that draws its figures (html.h); "" for none
};

}  // namespace layercost

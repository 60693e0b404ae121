// What:    what standard output and standard error are connected to, and what that can show.
// Rules:   width   $COLUMNS, else the terminal's own, else 100. Colour: on a terminal, unless $NO_COLOR is set or $TERM
//          is "dumb". Lines are overwritten on a terminal that is not dumb. Characters beyond ASCII are used unless the
//          locale that is set (LC_ALL, LC_CTYPE, LANG, the first of them) has no UTF-8; where none is set, they are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/report/view.h"

namespace layercost {

inline constexpr std::size_t kUnlimitedWidth = 1000;            // of a pipe or a file, from which nothing has to leave
std::size_t stdout_width(std::size_t otherwise = kTableWidth);  // `otherwise`: where nothing says
std::size_t stderr_width();
bool is_ascii_only();
bool overwrites_lines();  // standard error

// Lines that are wider than standard output wrapped below their own beginning; for a pipe or a file as they are.
std::string wrapped_lines(std::string_view text);

// A line `before` + `text`, the text wrapped in its own column, or below where that takes fewer lines or the column
// would be less than 20 wide.
std::string hanging_line(std::string before, std::string_view text);

// For what is shown on standard output.
ReportOptions screen_options(const View& view);

}  // namespace layercost

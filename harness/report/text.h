// What:    numbers and foreign text as a person reads them. Used by every report.
// Rules:   units become readable here and nowhere earlier: time in ns to s, sizes in GB (10^9 bytes). Three significant
//          digits; two where the 95 % interval is wider than 10 % to either side. A value that is absent is "".
//          Text from a file is stripped of control sequences before it reaches a terminal, a table or a cell.
// Units:   in: SI as in cost/metrics.h. Width in columns of a terminal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/result/stats.h"

namespace layercost {

// 12.3, 0.0603, 1234, 1.2e-07.
std::string digits(double value, int significant = 3);
// "12.3 ms".
std::string time_text(std::optional<double> time_s, const std::optional<Interval>& interval = {});
// "±1.2 %": half the width of the interval as a share of the value.
std::string spread_text(std::optional<double> value, const std::optional<Interval>& interval);
std::string percent_text(std::optional<double> fraction);
std::string gigabytes_text(std::optional<double> bytes);
// A plain number with as many digits as its interval deserves.
std::string number_text(std::optional<double> value, std::optional<double> relative_half_width = {});
// Half the interval's width / the value; nullopt without an interval.
std::optional<double> relative_half_width(std::optional<double> value, const std::optional<Interval>& interval);
// A ratio of dense to MoE: "4.0×", "10.5×", "0.81×".
std::string times_text(std::optional<double> ratio);
// A ratio between programs, which is near 1: "1.32×", "10.5×".
std::string ratio_text(double ratio);
// 30500000000 -> "30.5 B", 596000000 -> "596 M".
std::string count_text(double count);

// Columns that the text takes in a terminal; East Asian wide characters take two, combining marks and colours none.
std::size_t display_width(std::string_view text);
std::string pad_left(std::string_view text, std::size_t width);           // text stands right
std::string pad_right(std::string_view text, std::size_t width);          // text stands left
std::string shorten(std::string_view text, std::size_t width);            // ends in "…" if it had to be cut
std::vector<std::string> wrap(std::string_view text, std::size_t width);  // at spaces; a longer word is cut

// For terminals that show no other characters: those that reports use written with ASCII's ("±" as "+/-"), any other as
// question marks of its width.
std::string ascii_text(std::string_view text);

// Removes ANSI escape sequences, then replaces what else could move a cursor or break a line (printable()).
std::string plain(std::string_view text, std::size_t max_chars = 400);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "harness/report/text.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// "" where it is not set.
std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool is_dumb() { return variable("TERM") == "dumb"; }

std::size_t width_of(int descriptor, std::size_t otherwise) {
  const std::string_view columns = variable("COLUMNS");
  std::size_t width = 0;
  const auto [end, error] = std::from_chars(columns.data(), columns.data() + columns.size(), width);
  if (error == std::errc() && end == columns.data() + columns.size() && width > 0) return width;
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return otherwise;
}

}  // namespace

std::size_t stdout_width(std::size_t otherwise) { return width_of(STDOUT_FILENO, otherwise); }
std::size_t stderr_width() { return width_of(STDERR_FILENO, kTableWidth); }

bool is_ascii_only() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = ascii_lower(variable(name));
    if (!locale.empty()) return locale.find("utf-8") == std::string::npos && locale.find("utf8") == std::string::npos;
  }
  return false;
}

bool overwrites_lines() { return isatty(STDERR_FILENO) == 1 && !is_dumb(); }

std::string wrapped_lines(std::string_view text) {
  const std::size_t width = stdout_width(kUnlimitedWidth);
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (display_width(line) <= width) {
      out += std::string(line) + "\n";
      continue;
    }
    const std::size_t blanks = std::min({line.find_first_not_of(' '), line.size(), width / 2});
    bool first = true;
    for (const std::string& piece : wrap(line, width - blanks - 2)) {
      out += std::string(first ? blanks : blanks + 2, ' ') + piece + "\n";
      first = false;
    }
  }
  return out;
}

std::string hanging_line(std::string before, std::string_view text) {
  constexpr std::size_t kLeast = 20, kBelow = 4;
  const std::size_t width = stdout_width(kUnlimitedWidth), place = display_width(before);
  const auto in_column = [&](std::size_t at) { return wrap(text, std::max(kLeast, width - std::min(width, at))); };
  const std::vector<std::string> beside = in_column(place), below = in_column(kBelow);
  const bool is_beside = place + display_width(text) <= width ||
                         (place + kLeast <= width && beside.size() <= below.size() + 1);
  std::string out = std::move(before);
  bool first = is_beside;
  for (const std::string& piece : is_beside ? beside : below) {
    if (!first) {
      out.erase(out.find_last_not_of(' ') + 1);
      out += "\n" + std::string(is_beside ? place : kBelow, ' ');
    }
    out += piece;
    first = false;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

ReportOptions screen_options(const View& view) {
  ReportOptions options;
  options.colour = isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR").empty() && !is_dumb();
  options.ascii = is_ascii_only();
  options.width = stdout_width();
  options.view = view;
  return options;
}

}  // namespace layercost

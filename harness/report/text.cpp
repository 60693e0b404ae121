// SPDX-License-Identifier: Apache-2.0
#include "harness/report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/core/error.h"

namespace layercost {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
};

constexpr char32_t kNoWidth = 0x200B;

// Well-formed UTF-8 is expected (plain() and the JSON reader see to it); anything else counts byte by byte. A colour's
// escape sequence (ECMA-48: ESC [ parameters final byte, 0x40..0x7E) is one that takes no column.
CodePoint first_code_point(std::string_view text) {
  if (text.starts_with("\x1b[")) {
    std::size_t end = 2;
    while (end < text.size() && !(text[end] >= 0x40 && text[end] <= 0x7E)) ++end;
    return {kNoWidth, std::min(end + 1, text.size())};
  }
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (length == 1 || text.size() < length) return {lead, 1};
  char32_t value = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) value = (value << 6) | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  return {value, length};
}

std::size_t columns(char32_t c) {
  if ((c >= 0x300 && c <= 0x36F) || c == kNoWidth || c == 0x200D || (c >= 0xFE00 && c <= 0xFE0F)) return 0;
  // Unicode East Asian Width W and F, by blocks.
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                    (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

// Bytes of the longest beginning that fits.
std::size_t bytes_that_fit(std::string_view text, std::size_t width) {
  std::size_t bytes = 0, used = 0;
  while (bytes < text.size()) {
    const CodePoint next = first_code_point(text.substr(bytes));
    if (used + columns(next.value) > width) break;
    used += columns(next.value);
    bytes += next.bytes;
  }
  return bytes;
}

int significant_digits(std::optional<double> half_width) { return half_width && *half_width > 0.1 ? 2 : 3; }

double rounded(double value, int significant) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, significant - 1 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
  return std::round(value * scale) / scale;
}

}  // namespace

std::string digits(double value, int significant) {
  if (value == 0) return "0";
  if (!std::isfinite(value)) return "";
  const double shown = rounded(value, significant);
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(shown)) + 1e-12));
  if (magnitude < -4 || magnitude > 6) return fmt::format("{:.{}e}", value, significant - 1);
  // From 1000 up whole numbers are shown whole: "12346" is easier to read than "12300" and claims no more.
  if (magnitude >= significant) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", shown, std::max(0, significant - 1 - magnitude));
}

std::optional<double> relative_half_width(std::optional<double> value, const std::optional<Interval>& interval) {
  if (!value || !interval || !(*value > 0)) return std::nullopt;
  return (interval->high - interval->low) / 2 / *value;
}

std::string time_text(std::optional<double> time_s, const std::optional<Interval>& interval) {
  if (!time_s) return "";
  if (*time_s < 0) return "-" + time_text(-*time_s);  // the overhead of a depth fit
  struct Unit {
    double seconds;
    const char* name;
  };
  constexpr std::array kUnits = {Unit{1, "s"}, Unit{1e-3, "ms"}, Unit{1e-6, "µs"}, Unit{1e-9, "ns"}};
  const int significant = significant_digits(relative_half_width(time_s, interval));
  const double shown = rounded(*time_s, significant);  // first, or 999.7 ms becomes "1000 ms"
  for (const Unit& unit : kUnits) {
    if (shown >= unit.seconds * (1 - 1e-12) || unit.seconds == kUnits.back().seconds) {
      return fmt::format("{} {}", digits(*time_s / unit.seconds, significant), unit.name);
    }
  }
  return "";
}

std::string spread_text(std::optional<double> value, const std::optional<Interval>& interval) {
  const auto half = relative_half_width(value, interval);
  if (!half) return "";
  if (100 * *half > 999) return ">±999%";
  if (100 * *half < 0.05) return "±<0.1%";
  return fmt::format("±{} %", 100 * *half < 0.95 ? fmt::format("{:.1f}", 100 * *half) : digits(100 * *half, 2));
}

std::string percent_text(std::optional<double> fraction) {
  if (!fraction) return "";
  const double percent = 100 * *fraction;
  return fmt::format("{} %", percent < 9.95 ? fmt::format("{:.1f}", percent) : fmt::format("{:.0f}", percent));
}

std::string gigabytes_text(std::optional<double> bytes) {
  if (!bytes) return "";
  return fmt::format("{} GB", digits(*bytes / 1e9));
}

std::string number_text(std::optional<double> value, std::optional<double> half_width) {
  return value ? digits(*value, significant_digits(half_width)) : "";
}

std::string times_text(std::optional<double> ratio) { return ratio ? digits(*ratio, *ratio < 10 ? 2 : 3) + "×" : ""; }

std::string ratio_text(double ratio) { return digits(ratio) + "×"; }

std::string count_text(double count) {
  if (count >= 999.5e9) return fmt::format("{} T", digits(count / 1e12));
  if (count >= 999.5e6) return fmt::format("{} B", digits(count / 1e9));
  if (count >= 999.5e3) return fmt::format("{} M", digits(count / 1e6));
  return count >= 999.5 ? fmt::format("{} k", digits(count / 1e3)) : digits(count);
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    width += columns(next.value);
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string pad_left(std::string_view text, std::size_t width) {
  const std::size_t used = display_width(text);
  return std::string(width > used ? width - used : 0, ' ') + std::string(text);
}

std::string pad_right(std::string_view text, std::size_t width) {
  const std::size_t used = display_width(text);
  return std::string(text) + std::string(width > used ? width - used : 0, ' ');
}

std::string shorten(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  return std::string(text.substr(0, bytes_that_fit(text, width - 1))) + "…";
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (word.empty()) continue;
    if (!line.empty() && display_width(line) + 1 + display_width(word) > width)
      lines.push_back(std::exchange(line, ""));
    while (display_width(word) > width) {
      const std::size_t bytes = std::max<std::size_t>(1, bytes_that_fit(word, width));
      lines.emplace_back(word.substr(0, bytes));
      word.remove_prefix(bytes);
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

std::string ascii_text(std::string_view text) {
  struct Written {
    std::string_view character, as;
  };
  constexpr std::array kWritten = {Written{"±", "+/-"}, Written{"→", "->"}, Written{"×", "x"}, Written{"µ", "u"},
                                   Written{"·", "|"},   Written{"…", "~"},  Written{"─", "-"}, Written{"│", "|"},
                                   Written{"┬", "+"},   Written{"┼", "+"},  Written{"█", "#"}, Written{"▒", "="},
                                   Written{"░", "."}};
  std::string out;
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    const std::string_view character = text.substr(0, next.bytes);
    const auto known =
        std::find_if(kWritten.begin(), kWritten.end(), [&](const Written& w) { return w.character == character; });
    if (known != kWritten.end()) out += known->as;
    else
      out += static_cast<unsigned char>(character[0]) < 0x80 ? std::string(character)
                                                             : std::string(columns(next.value), '?');
    text.remove_prefix(next.bytes);
  }
  return out;
}

std::string plain(std::string_view text, std::size_t max_chars) {
  const auto is_ascii = [](char c) { return c >= ' ' && c <= '~'; };
  if (text.size() <= max_chars && std::all_of(text.begin(), text.end(), is_ascii)) return std::string(text);
  std::string kept;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '\x1b') {
      kept += text[i++];
      continue;
    }
    // ECMA-48: CSI is ESC [ parameters final byte (0x40..0x7E); OSC is ESC ] ... BEL or ESC \; others are ESC and one
    // byte.
    ++i;
    if (i >= text.size()) break;
    if (text[i] == '[') {
      ++i;
      while (i < text.size() && !(text[i] >= 0x40 && text[i] <= 0x7E)) ++i;
      if (i < text.size()) ++i;
    } else if (text[i] == ']') {
      while (i < text.size() && text[i] != '\a' && text[i] != '\x1b') ++i;
      if (i < text.size()) i += text[i] == '\a' ? 1 : 2;
    } else {
      ++i;
    }
  }
  return printable(kept, max_chars);
}

}  // namespace layercost

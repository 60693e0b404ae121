// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace layercost {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629), or 0 if there is none.
std::size_t utf8_sequence(std::string_view text, char32_t& code_point) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  std::size_t length = 0;
  char32_t value = 0;
  char32_t smallest = 0;  // overlong forms are ill-formed
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2, value = lead & 0x1Fu, smallest = 0x80;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3, value = lead & 0x0Fu, smallest = 0x800;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, value = lead & 0x07u, smallest = 0x10000;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  code_point = value;
  return length;
}

// Characters that move the cursor, end the line, change the reading order or have no width: a file that holds them
// could forge what a reader sees, or hold two names that look the same.
bool is_unsafe(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x61C || c == 0x180E ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE007F);
}

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours each cost 1.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string with_gib(std::uint64_t bytes) {
  constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
  return fmt::format("{:.2f} GiB ({} bytes)", static_cast<double>(bytes) / kGib, bytes);
}

}  // namespace

// The pieces are made printable here too, so that a caller who forgets cannot let a file write to the terminal. Paths
// are at most 4096 bytes on Linux; 2000 characters hold every message this program writes.
BadInput::BadInput(std::string_view file, std::string_view place, std::string_view message)
    : std::runtime_error(printable(file, 4096) + ": " + (place.empty() ? "" : printable(place, 400) + ": ") +
                         printable(message, 2000)) {}

OutOfMemory::OutOfMemory(std::string_view what, std::uint64_t need_bytes_, std::uint64_t have_bytes_)
    : std::runtime_error(fmt::format("{} needs {}, available are {}", printable(what, 400), with_gib(need_bytes_),
                                     with_gib(have_bytes_))),
      need_bytes(need_bytes_),
      have_bytes(have_bytes_) {}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string nearest_spelling(std::string_view word, std::span<const std::string> candidates) {
  // The table of distances costs |word| x |candidate| per candidate: 128 letters against the 37 000 tensor names of a
  // large checkpoint are below a second; nobody mistypes a longer word.
  constexpr std::size_t kLongest = 128;
  if (word.empty() || word.size() > kLongest) return "";
  const std::string wanted = ascii_lower(word);
  // A beginning is no misspelling: "qwen3-30b" means qwen3-30b-a3b, not qwen3-32b, which is one letter away.
  constexpr std::size_t kShortestBeginning = 3;
  std::string_view begun;
  for (const std::string& candidate : candidates) {
    const std::string lower = ascii_lower(candidate);
    if (lower == wanted) return candidate;
    if (wanted.size() >= kShortestBeginning && lower.starts_with(wanted) &&
        (begun.empty() || candidate.size() < begun.size()))
      begun = candidate;
  }
  if (!begun.empty()) return std::string(begun);
  std::string_view nearest;
  std::size_t nearest_distance = 0;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > kLongest) continue;
    const std::size_t longer = std::max(wanted.size(), candidate.size());
    const std::size_t shorter = std::min(wanted.size(), candidate.size());
    if (3 * (longer - shorter) > longer) continue;  // the difference in length is a lower bound of the distance
    const std::size_t distance = edit_distance(wanted, ascii_lower(candidate));
    if (3 * distance > longer) continue;
    if (nearest.empty() || distance < nearest_distance) {
      nearest = candidate;
      nearest_distance = distance;
      if (distance == 0) break;
    }
  }
  return std::string(nearest);
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string nearest = nearest_spelling(word, candidates);
  return nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", printable(nearest));
}

std::string printable(std::string_view text, std::size_t max_chars) {
  std::string safe;
  std::size_t chars = 0;
  while (!text.empty()) {
    if (chars == max_chars) return safe + "...";
    char32_t code_point = 0;
    const std::size_t length = utf8_sequence(text, code_point);
    if (length == 0 || is_unsafe(code_point)) {
      safe += '?';
    } else {
      safe.append(text.substr(0, length));
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
    ++chars;
  }
  return safe;
}

}  // namespace layercost

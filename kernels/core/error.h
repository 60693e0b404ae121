// What:    the kinds of trouble the program knows, and what a message must contain.
//          BadInput    the user's text or file is wrong: names the file, the place in it, the value, what was
//                      expected and, where there is one, the nearest valid spelling. Exit code 2.
//          BadCase     an op case lacks an axis or holds an impossible one. A bug or a hand-written case.
//          OutOfMemory a known need exceeds what the machine has. A result state, not a failure.
//          Everything else that goes wrong at run time is a std::runtime_error and ends as `Failed`.
// Units:   bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace layercost {

class BadInput : public std::runtime_error {
 public:
  explicit BadInput(const std::string& message) : std::runtime_error(message) {}
  // "FILE: PLACE: message"; an empty place is left out.
  BadInput(std::string_view file, std::string_view place, std::string_view message);
};

class BadCase : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class OutOfMemory : public std::runtime_error {
 public:
  OutOfMemory(std::string_view what, std::uint64_t need_bytes, std::uint64_t have_bytes);
  std::uint64_t need_bytes;
  std::uint64_t have_bytes;
};

// Asked from time to time by everything that may run long (packing weights, references). The program installs a
// function that throws Interrupted once Ctrl-C was pressed.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Letters A to Z as a to z, whatever the locale.
std::string ascii_lower(std::string_view text);

// The shortest candidate that begins with `word` (of three letters or more), else the nearest by edit distance, or ""
// when none is near enough to be a likely misspelling (more than a third of the letters differ).
std::string nearest_spelling(std::string_view word, std::span<const std::string> candidates);

// " (did you mean 'x'?)" or "".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

// Text of foreign origin made safe for a terminal and for one line: control characters and bytes that are not valid
// UTF-8 are replaced, anything beyond max_chars is cut with "...".
std::string printable(std::string_view text, std::size_t max_chars = 80);

}  // namespace layercost

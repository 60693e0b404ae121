// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/op_case.h"

#include <fmt/format.h>

#include <charconv>

#include "kernels/core/error.h"

namespace layercost {
namespace {

bool is_name(std::string_view s) {
  return !s.empty() && s.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}
bool is_value(std::string_view s) {
  return !s.empty() && s.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-") ==
                           std::string_view::npos;
}
template <class T>
bool read_number(std::string_view s, T& out) {
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out);
  return error == std::errc() && end == s.data() + s.size();
}

}  // namespace

OpCase OpCase::parse(std::string_view text) {
  const auto fail = [&](std::string_view why) {
    throw BadCase(fmt::format("'{}' is no op case: {} (form: op key=value key=value)", printable(text, 200), why));
  };
  std::size_t space = text.find(' ');
  OpCase c{std::string(text.substr(0, space))};
  if (!is_name(c.op_)) fail("it must begin with the name of an op");
  while (space != std::string_view::npos) {
    const std::size_t begin = space + 1;
    space = text.find(' ', begin);
    const std::string_view part = text.substr(begin, space == std::string_view::npos ? space : space - begin);
    const std::size_t eq = part.find('=');
    if (eq == std::string_view::npos) fail(fmt::format("'{}' has no '='", printable(part)));
    const auto key = part.substr(0, eq), value = part.substr(eq + 1);
    if (!is_name(key)) fail(fmt::format("bad key '{}'", printable(key)));
    if (!is_value(value)) fail(fmt::format("bad value '{}'", printable(value)));
    if (c.has(key)) fail(fmt::format("'{}' stands twice", key));
    c.values_.emplace_back(key, value);
  }
  return c;
}

std::string OpCase::text() const {
  std::string s = op_;
  for (const auto& [key, value] : values_) s += fmt::format(" {}={}", key, value);
  return s;
}

OpCase& OpCase::set(std::string_view key, std::string_view word) {
  if (!is_name(key) || !is_value(word)) throw BadCase(fmt::format("bad axis {}={}", printable(key), printable(word)));
  for (auto& [k, v] : values_)
    if (k == key) {
      v = word;
      return *this;
    }
  values_.emplace_back(key, word);
  return *this;
}
OpCase& OpCase::set(std::string_view key, std::int64_t value) {
  return set(key, std::string_view(fmt::to_string(value)));
}
OpCase& OpCase::set(std::string_view key, double value) { return set(key, std::string_view(fmt::format("{}", value))); }

const std::string* OpCase::find(std::string_view key) const {
  for (const auto& [k, v] : values_)
    if (k == key) return &v;
  return nullptr;
}

const std::string& OpCase::require(std::string_view key) const {
  if (const std::string* v = find(key)) return *v;
  throw BadCase(fmt::format("'{}': {} is missing", text(), key));
}

std::int64_t OpCase::axis(std::string_view key) const {
  std::int64_t v = 0;
  if (!read_number(std::string_view(require(key)), v) || v < 1)
    throw BadCase(fmt::format("'{}': {} must be an integer >= 1", text(), key));
  return v;
}

std::int64_t OpCase::integer(std::string_view key, std::int64_t otherwise) const {
  const std::string* s = find(key);
  if (s == nullptr) return otherwise;
  std::int64_t v = 0;
  if (!read_number(std::string_view(*s), v)) throw BadCase(fmt::format("'{}': {} must be an integer", text(), key));
  return v;
}

double OpCase::real(std::string_view key) const {
  double v = 0;
  if (!read_number(std::string_view(require(key)), v))
    throw BadCase(fmt::format("'{}': {} must be a number", text(), key));
  return v;
}

std::string OpCase::word(std::string_view key, std::string_view otherwise) const {
  const std::string* s = find(key);
  return s != nullptr ? *s : std::string(otherwise);
}

DType OpCase::type(std::string_view key) const { return dtype_from(require(key)); }
const WeightFormat& OpCase::format(std::string_view key) const { return weight_format(require(key)); }

}  // namespace layercost

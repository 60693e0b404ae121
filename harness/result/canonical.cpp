// SPDX-License-Identifier: Apache-2.0
#include "harness/result/canonical.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "kernels/core/sha256.h"

namespace layercost {
namespace {

using nlohmann::json;

// UTF-8 in the order of UTF-16: a character beyond U+FFFF (four bytes) has surrogates, which come before U+E000.
bool before(const std::string& a, const std::string& b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x == a.end() || y == b.end()) return x == a.end() && y != b.end();
  const auto rank = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0xF0 ? 0xED : byte >= 0xEE ? byte + 0x100 : static_cast<int>(byte);
  };
  const int left = rank(*x), right = rank(*y);
  return left != right ? left < right : static_cast<unsigned char>(*x) < static_cast<unsigned char>(*y);
}

void add_string(std::string& out, const std::string& text) {
  out += '"';
  for (const char c : text) {
    constexpr std::string_view kNamed = "\b\t\n\f\r\"\\", kLetters = "btnfr\"\\";
    if (const std::size_t at = kNamed.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kLetters[at];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

void add(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object: {
      std::vector<json::const_iterator> members;
      for (auto it = value.begin(); it != value.end(); ++it) members.push_back(it);
      std::sort(members.begin(), members.end(), [](auto a, auto b) { return before(a.key(), b.key()); });
      out += '{';
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (i > 0) out += ',';
        add_string(out, members[i].key());
        out += ':';
        add(out, members[i].value());
      }
      out += '}';
      return;
    }
    case json::value_t::array:
      out += '[';
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (i > 0) out += ',';
        add(out, value[i]);
      }
      out += ']';
      return;
    case json::value_t::string:
      return add_string(out, value.get_ref<const std::string&>());
    case json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case json::value_t::null:
      out += "null";
      return;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
    case json::value_t::number_float:
      out += canonical_number(value.get<double>());
      return;
    case json::value_t::binary:
    case json::value_t::discarded:
      break;
  }
  throw std::invalid_argument("not a value of JSON");
}

}  // namespace

std::string canonical_number(double value) {
  if (!std::isfinite(value)) throw std::invalid_argument("JSON has no NaN and no infinity");
  if (value == 0) return "0";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, std::abs(value), std::chars_format::scientific).ptr;
  const std::string_view shortest(text, static_cast<std::size_t>(end - text));  // "d.ddde+xx"
  const std::size_t e = shortest.find('e');
  std::string digits(1, shortest[0]);
  if (e > 2) digits += shortest.substr(2, e - 2);
  int exponent = 0;
  const std::size_t sign_or_digit = e + 1 + (shortest[e + 1] == '+' ? 1 : 0);
  std::from_chars(text + sign_or_digit, end, exponent);
  const int count = static_cast<int>(digits.size()), places = exponent + 1;  // value = 0.ddd x 10^places
  std::string out = value < 0 ? "-" : "";
  if (places >= count && places <= 21) return out + digits + std::string(static_cast<std::size_t>(places - count), '0');
  if (places > 0 && places <= 21)
    return out + digits.substr(0, static_cast<std::size_t>(places)) + "." +
           digits.substr(static_cast<std::size_t>(places));
  if (places > -6 && places <= 0) return out + "0." + std::string(static_cast<std::size_t>(-places), '0') + digits;
  out += digits[0];
  if (count > 1) out += "." + digits.substr(1);
  return out + fmt::format("e{}{}", exponent < 0 ? "-" : "+", std::abs(exponent));
}

std::string canonical_text(const json& document) {
  std::string out;
  add(out, document);
  return out;
}

std::string content_hash(const json& document) { return sha256_hex(canonical_text(document)); }

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/contract/op.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

using Kind = KnownKey::Kind;

const KnownKey* find_key(const OpDef& op, std::string_view name) {
  const auto it = std::find_if(op.keys.begin(), op.keys.end(), [&](const KnownKey& k) { return k.name == name; });
  return it == op.keys.end() ? nullptr : &*it;
}

template <class T>
bool read_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// Whether its values are a closed list.
bool has_choices(const KnownKey& key) {
  return key.kind == Kind::word || key.kind == Kind::type || key.kind == Kind::format;
}

// That list.
std::vector<std::string> choices(const KnownKey& key) {
  std::vector<std::string> out(key.words.begin(), key.words.end());
  for (const DType t : key.types) out.emplace_back(to_string(t));
  if (key.kind == Kind::format)
    for (const WeightFormat& f : weight_formats()) out.emplace_back(f.name);
  return out;
}

bool is_value_of(const KnownKey& key, std::string_view text) {
  switch (key.kind) {
    case Kind::integer: {
      std::int64_t v = 0;
      return read_number(text, v) && static_cast<double>(v) >= key.least && static_cast<double>(v) <= key.most;
    }
    case Kind::flag:
      return text == "0" || text == "1";
    case Kind::real: {
      double v = 0;
      return read_number(text, v) && std::isfinite(v) && v >= key.least && v <= key.most;
    }
    case Kind::word:
    case Kind::type:
    case Kind::format: {
      const std::vector<std::string> all = choices(key);
      return std::find(all.begin(), all.end(), text) != all.end();
    }
  }
  return false;
}

std::string range_of(const KnownKey& key, double unbounded) {
  const bool below = key.least > -unbounded, above = key.most < unbounded;
  if (below && above) return fmt::format(" from {} to {}", key.least, key.most);
  return below ? fmt::format(" >= {}", key.least) : above ? fmt::format(" <= {}", key.most) : "";
}

std::string expected(const KnownKey& key) {
  switch (key.kind) {
    case Kind::integer:
      return "an integer" + range_of(key, kMostInteger);
    case Kind::flag:
      return "0 or 1";
    case Kind::real:
      return "a finite number" + range_of(key, std::numeric_limits<double>::max());
    case Kind::word:
    case Kind::type:
    case Kind::format:
      return fmt::format("{}", fmt::join(choices(key), " or "));
  }
  return {};
}

// Texts of one value: "1" and "1.0" of a number.
bool is_same_value(const KnownKey& key, std::string_view a, std::string_view b) {
  double x = 0, y = 0;
  const bool numbers = !has_choices(key) && read_number(a, x) && read_number(b, y);
  return numbers ? x == y : a == b;
}

bool is_set(const OpDef& op, const OpCase& c, std::string_view name) {
  const KnownKey* key = find_key(op, name);
  return key != nullptr && c.has(name) && !is_same_value(*key, c.word(name, ""), key->otherwise);
}

std::string names_of(const OpDef& op) {
  std::vector<std::string> names;
  for (const KnownKey& k : op.keys) names.push_back(k.required ? std::string(k.name) : fmt::format("[{}]", k.name));
  return fmt::format("{}", fmt::join(names, " "));
}

// f(key, values) for each entry of Variant::knows, "w_type=f32|bf16 bias": values are empty for "bias".
template <class F>
void for_entries(std::string_view knows, F&& f) {
  while (!knows.empty()) {
    const std::size_t space = knows.find(' ');
    const std::string_view entry = knows.substr(0, space);
    knows = space == std::string_view::npos ? std::string_view() : knows.substr(space + 1);
    const std::size_t eq = entry.find('=');
    f(entry.substr(0, eq), eq == std::string_view::npos ? std::string_view() : entry.substr(eq + 1));
  }
}

std::vector<std::string> split(std::string_view values) {
  std::vector<std::string> out;
  while (!values.empty()) {
    const std::size_t bar = values.find('|');
    out.emplace_back(values.substr(0, bar));
    values = bar == std::string_view::npos ? std::string_view() : values.substr(bar + 1);
  }
  return out;
}

}  // namespace

void check_keys(const OpDef& op, const OpCase& c) {
  const auto fail = [&](const std::string& why) {
    throw BadCase(fmt::format("'{}': {}", printable(c.text(), 400), why));
  };
  if (c.op() != op.name) fail(fmt::format("is no case of {}", op.name));
  for (const auto& [name, value] : c.values()) {
    const KnownKey* key = find_key(op, name);
    if (key == nullptr) {
      std::vector<std::string> names;
      for (const KnownKey& k : op.keys) names.emplace_back(k.name);
      fail(fmt::format("{} has no key '{}' (={}){}; its keys: {}", op.name, printable(name), printable(value),
                       did_you_mean(name, names), names_of(op)));
    }
    if (!is_value_of(*key, value))
      fail(fmt::format("{} is '{}'{}, {} expects {}", name, printable(value), did_you_mean(value, choices(*key)),
                       op.name, expected(*key)));
  }
  for (const KnownKey& key : op.keys) {
    const bool beside = !key.beside.empty() && is_set(op, c, key.beside);
    if (!c.has(key.name) && (key.required || beside))
      fail(fmt::format("{} is missing, {} expects {}", key.name, op.name, expected(key)));
    if (c.has(key.name) && !key.beside.empty() && !beside)
      fail(fmt::format("{}={} says nothing without {}", key.name, c.word(key.name, ""), key.beside));
  }
}

std::string what_is_unknown(const OpDef& op, const Variant& v, const OpCase& c) {
  for (const auto& [name, value] : c.values()) {
    const KnownKey& key = *find_key(op, name);
    const bool a_size = key.required && (key.kind == Kind::integer || key.kind == Kind::real);
    if (a_size || (!key.required && key.beside.empty() && is_same_value(key, value, key.otherwise))) continue;
    bool named = false;
    std::vector<std::string> values;
    for_entries(v.knows, [&](std::string_view known, std::string_view known_values) {
      if (known != name) return;
      named = true;
      values = split(known_values);
    });
    if (!named) return fmt::format("does not know {}", name);
    if (has_choices(key) && values != std::vector<std::string>{"*"} &&
        std::find(values.begin(), values.end(), value) == values.end())
      return fmt::format("takes {}={}, not {}", name, fmt::join(values, " or "), value);
  }
  return {};
}

std::string what_is_wrong_with_knows(const OpDef& op, const Variant& v) {
  std::string wrong;
  for_entries(v.knows, [&](std::string_view name, std::string_view values) {
    const KnownKey* key = find_key(op, name);
    if (key == nullptr) {
      wrong += fmt::format("{} has no key '{}'; ", op.name, name);
    } else if (has_choices(*key) == values.empty()) {
      wrong += fmt::format("{}: {}; ", name, values.empty() ? "which values?" : "takes no list of values");
    }
    for (const std::string& value : split(values))
      if (key != nullptr && value != "*" && !is_value_of(*key, value))
        wrong += fmt::format("{}={} is no value of it; ", name, value);
  });
  for (const KnownKey& key : op.keys) {
    bool named = !key.required || (key.kind != Kind::type && key.kind != Kind::format);
    for_entries(v.knows, [&](std::string_view name, std::string_view) { named |= name == key.name; });
    if (!named) wrong += fmt::format("{}: which types?; ", key.name);
  }
  return wrong;
}

}  // namespace layercost

// What:    numbers on the command line.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <string>
#include <system_error>

#include "kernels/core/error.h"

namespace layercost {

// A check of an option: a number from `low` to `high`. CLI11's own Range lets NaN pass, which is in no range.
inline CLI::Validator number_in(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& word) {
        double value = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        const bool good =
            error == std::errc() && end == word.data() + word.size() && value >= low && value <= high;
        return good ? std::string() : fmt::format("expected a number in {}..{}, got '{}'", low, high, printable(word));
      },
      fmt::format("NUMBER in {}..{}", low, high));
}

}  // namespace layercost

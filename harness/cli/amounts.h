// What:    amounts of work and memory as `plan` and `project` say them, to people and to programs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "harness/plan/counts.h"

namespace layercost {

std::string si(double value, const char* unit);  // "12.3 GB"

// Appends.
template <typename... T>
void say(std::string& out, fmt::format_string<T...> format, T&&... values) {
  out += fmt::format(format, std::forward<T>(values)...);
}

// What a point needs, whether `device` ("it", "this machine") has it, and the largest batch that would fit.
std::string memory_text(const MemoryNeed& need, double device_bytes, const std::string& device);

// Whole numbers as such; doubles hold them exactly up to 2^53. What is expected of chance stays a fraction.
nlohmann::ordered_json json_number(double value);
nlohmann::ordered_json memory_json(const MemoryNeed& need, double device_bytes);

}  // namespace layercost

// What:    the fields that dated, sourced records of the world have in common (prices, list prices, claims), each with
//          its check, and the folders in which such records lie.
// Errors:  BadInput naming file, key, value and expectation; for words the nearest that is known.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/spec/json_reader.h"
#include "harness/spec/price_spec.h"

namespace layercost {

Date get_date(const JsonNode& node, std::string_view key);                // YYYY-MM-DD
Date get_past_date(const JsonNode& node, std::string_view key, Date on);  // not after that day
std::string get_past_day_or_month(const JsonNode& node, std::string_view key, Date on);  // YYYY-MM-DD, or YYYY-MM
std::string get_word(const JsonNode& node, std::string_view key, const std::vector<std::string>& known);
std::string get_filled(const JsonNode& node, std::string_view key, std::size_t max_chars);  // not blank
std::vector<std::string> get_texts(const JsonNode& node, std::string_view key);
// Money: a decimal above zero in quotes, so that no digit is lost on the way to a report; `text` is as written.
double get_amount(const JsonNode& node, std::string_view key, std::string& text);

// The .json files of a folder, sorted.
std::vector<std::filesystem::path> record_files(const std::filesystem::path& folder);
// The argument of an option: an id in the folder, or a file. For the message: `what` it is, what else it may be
// ("2.50/h, "), and which of layercost's lists has them.
std::filesystem::path find_record(const char* option, const char* what, const char* or_else, const char* listed,
                                  const std::string& argument, const std::filesystem::path& folder);

}  // namespace layercost

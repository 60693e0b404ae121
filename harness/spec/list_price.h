// What:    what an API asks for a million tokens of a model: a price, which says nothing of the cost. Dated, sourced
//          records; a type of its own that has no hour, no device and no way to become a cost.
// Units:   USD per million tokens, as written.
// Errors:  BadInput naming file, key, value and expectation: zero, negative, no plain decimal, unsourced, undated,
//          dated in the future, steps that do not rise. What is too old, over, or not for everyone is a label.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/spec/price_spec.h"

namespace layercost {

struct ListPriceText {
  std::string input, output;                 // "1.25"
  std::optional<std::string> cached_input;   // input that was read before; absent: costs what input does
  std::optional<std::int64_t> up_to_tokens;  // of input; absent: whatever its length, or what is above the others
};

struct ListPrice {
  std::string id, path;              // file name without .json; the file
  std::string model;                 // lower case: as in models/ or closed/, or of one that is in neither
  std::string provider;              // who asks it
  std::string conditions;            // "off-peak hours"; "" if there are none
  std::vector<ListPriceText> steps;  // from short inputs to long ones; at least one
  bool promotional = false;
  std::string source, retrieved_at;  // YYYY-MM-DD, or YYYY-MM: the day is not known
  std::optional<Date> valid_from, valid_to;  // absent: the source does not tell
};

ListPrice read_list_price(const std::filesystem::path& file, Date on = today());
std::vector<ListPrice> list_list_prices(const std::filesystem::path& configs_dir, Date on = today());
// An id in configs/list_prices, or a file.
ListPrice find_list_price(const std::string& argument, const std::filesystem::path& configs_dir, Date on = today());

// STALE (retrieved more than 90 days ago), EXPIRED (after valid_to), PROMOTIONAL.
std::vector<std::string> list_price_labels(const ListPrice&, Date on = today());
// "input 1.25, output 10.00" or, in steps, "up to 200000 tokens of input: ...; above: ...".
std::string price_text(const ListPrice&);

}  // namespace layercost

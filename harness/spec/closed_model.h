// What:    models whose architecture nobody has published: nothing about them can be counted or measured. What is
//          known is what their makers ask for a token, a price that says nothing of the cost.
// Units:   USD per million tokens, as written; dates YYYY-MM-DD or YYYY-MM, of the day the source was read.
// Errors:  BadInput naming file, key, value and expectation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace layercost {

struct ListPrice {
  std::string input, output;                 // "1.25"
  std::optional<std::string> cached_input;   // input that was read before
  std::optional<std::int64_t> up_to_tokens;  // of input; none: whatever its length, or what is above the others
  std::string source, retrieved_at;
};

struct ClosedModel {
  std::string name;  // of the file, "gpt-5"
  std::string title, maker;
  std::vector<std::string> aliases;
  std::vector<ListPrice> prices;  // from short inputs to long ones
};

std::vector<ClosedModel> list_closed_models(const std::filesystem::path& configs_dir);
// By name or alias; case does not matter.
std::optional<ClosedModel> find_closed_model(const std::string& name, const std::filesystem::path& configs_dir);
// "input 1.25, output 10.00" or, in steps, "up to 200000 tokens of input: ...; above: ...".
std::string price_text(const ClosedModel&);

}  // namespace layercost

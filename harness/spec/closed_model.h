// What:    models whose architecture nobody has published: nothing about them can be counted or measured. What their
//          makers ask for a token is a list price (list_price.h) with the model's name.
// Errors:  BadInput naming file, key, value and expectation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace layercost {

struct ClosedModel {
  std::string name;  // of the file, "gpt-5"
  std::string title, maker;
  std::vector<std::string> aliases;
};

std::vector<ClosedModel> list_closed_models(const std::filesystem::path& configs_dir);
// By name or alias; case does not matter.
std::optional<ClosedModel> find_closed_model(const std::string& name, const std::filesystem::path& configs_dir);

}  // namespace layercost

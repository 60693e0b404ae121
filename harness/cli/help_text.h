// What:    the help of the program and its commands, as wide as the terminal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace layercost {

class HelpText : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_description(const CLI::App* app) const override;
  std::string make_footer(const CLI::App* app) const override;
};

// What completion and the man page show of a command.
struct OptionFacts {
  std::vector<std::string> names;  // "-b", "--batch"
  std::string description;
  bool takes_value = false;
};
std::vector<OptionFacts> options_of(const CLI::App& command);
std::vector<const CLI::App*> commands_of(const CLI::App& app);
// The words that may follow an option (or, for "", a command that takes no option first), where they are known.
std::vector<std::string> words_after(const std::string& command, const std::string& option);

}  // namespace layercost

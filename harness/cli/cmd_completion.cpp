// layercost completion: what bash, zsh and fish need to complete commands, options and names.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/cli/commands.h"
#include "harness/cli/help_text.h"
#include "harness/cli/streams.h"

namespace layercost {
namespace {

// Words of the program itself: none needs quoting, and a test looks.
std::string spaced(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::vector<std::string> first_words(const CLI::App& app, const CLI::App& command) {
  std::vector<std::string> words = words_after(command.get_name(), "");
  if (command.get_name() != "help") return words;
  for (const CLI::App* other : commands_of(app)) words.push_back(other->get_name());
  words.emplace_back("labels");
  return words;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const OptionFacts& option : options_of(command)) names.push_back(option.names.back());
  return names;
}

// bash and zsh: `candidates` holds what may stand at the cursor; $1 the command, $2 the word before.
std::string candidate_cases(const CLI::App& app) {
  std::string out = "  case $1 in\n";
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format("    {})\n      candidates='{}'\n      case $2 in\n", command->get_name(),
                       spaced(option_names(*command)) + " " + spaced(first_words(app, *command)));
    for (const OptionFacts& option : options_of(*command)) {
      if (!option.takes_value) continue;
      const auto words = words_after(command->get_name(), option.names.back());
      out += fmt::format("        {}) candidates='{}' ;;\n", fmt::join(option.names, "|"), spaced(words));
    }
    out += "      esac ;;\n";
  }
  std::vector<std::string> all;
  for (const CLI::App* command : commands_of(app)) all.push_back(command->get_name());
  return out + fmt::format("    *) candidates='{} --help --version' ;;\n  esac\n", spaced(all));
}

std::string for_bash(const CLI::App& app) {
  return "# bash completion of layercost: source <(layercost completion bash)\n_layercost_candidates() {\n" +
         candidate_cases(app) +
         "}\n"
         "_layercost() {\n"
         "  local candidates command='' word=${COMP_WORDS[COMP_CWORD]}\n"
         "  ((COMP_CWORD > 1)) && command=${COMP_WORDS[1]}\n"
         "  _layercost_candidates \"$command\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
         "  COMPREPLY=($(compgen -W \"$candidates\" -- \"$word\"))\n"
         "  ((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "}\n"
         "complete -F _layercost layercost\n";
}

std::string for_zsh(const CLI::App& app) {
  return "#compdef layercost\n# zsh completion of layercost: layercost completion zsh > a folder of $fpath/_layercost\n"
         "_layercost_candidates() {\n" +
         candidate_cases(app) +
         "}\n"
         "_layercost() {\n"
         "  local candidates command=''\n"
         "  ((CURRENT > 2)) && command=$words[2]\n"
         "  _layercost_candidates \"$command\" \"$words[CURRENT-1]\"\n"
         "  compadd -- ${=candidates} || _files\n"
         "}\n"
         "if [[ $funcstack[1] == _layercost ]]; then _layercost \"$@\"; else compdef _layercost layercost; fi\n";
}

std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "'";
}

std::string for_fish(const CLI::App& app) {
  std::string out =
      "# fish completion of layercost: layercost completion fish > ~/.config/fish/completions/layercost.fish\n";
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format("complete -c layercost -n __fish_use_subcommand -f -a {} -d {}\n", command->get_name(),
                       fish_quoted(command->get_description()));
    const std::string here =
        fmt::format("complete -c layercost -n '__fish_seen_subcommand_from {}'", command->get_name());
    if (const auto words = first_words(app, *command); !words.empty())
      out += fmt::format("{} -f -a {}\n", here, fish_quoted(spaced(words)));
    for (const OptionFacts& option : options_of(*command)) {
      out += here;
      for (const std::string& name : option.names)
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (option.takes_value) out += " -r";
      if (const auto words = words_after(command->get_name(), option.names.back());
          option.takes_value && !words.empty())
        out += " -f -a " + fish_quoted(spaced(words));
      out += fmt::format(" -d {}\n", fish_quoted(option.description));
    }
  }
  return out;
}

int completion(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") show(for_bash(app));
  else if (shell == "zsh") show(for_zsh(app));
  else if (shell == "fish") show(for_fish(app));
  else throw BadInput("completion: expected bash, zsh or fish, got '" + printable(shell) + "'");
  return 0;
}

}  // namespace

void add_completion(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("completion", "for bash, zsh or fish, to be sourced or put where the shell looks");
  auto shell = std::make_shared<std::string>();
  c->add_option("shell", *shell, "bash, zsh or fish")->required();
  c->callback([shell, &app, &action] { action = [shell, &app] { return completion(app, *shell); }; });
}

}  // namespace layercost

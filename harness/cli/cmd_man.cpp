// layercost man: the manual page, made of what --help knows.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/cli/commands.h"
#include "harness/cli/help_text.h"
#include "harness/cli/streams.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// A line of roff that shows exactly this text: ASCII, hyphens as they are typed, no line that begins as a request.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : ascii_text(text)) out += c == '\\' ? std::string("\\e") : c == '-' ? "\\-" : std::string(1, c);
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string tagged(const std::string& tag, const std::string& text) {
  return fmt::format(".TP\n.B {}\n{}\n", roff(tag), roff(text));
}

std::string page(const CLI::App& app) {
  std::string out = fmt::format(
      ".TH LAYERCOST 1 \"\" \"layercost {}\"\n.SH NAME\nlayercost \\- what a token costs on this machine\n"
      ".SH SYNOPSIS\n.B layercost\n.I COMMAND\n[options]\n.SH DESCRIPTION\n{}\n.SH COMMANDS\n",
      LAYERCOST_VERSION, roff(app.get_description()));
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format(".SS layercost {}\n{}\n", roff(command->get_name()), roff(command->get_description()));
    for (const OptionFacts& option : options_of(*command))
      if (option.names.back() != "--help")
        out += tagged(fmt::format("{}{}", fmt::join(option.names, ", "), option.takes_value ? " VALUE" : ""),
                      option.description);
  }
  out += ".SH LABELS\n";
  for (const LabelText& row : label_texts())
    out += tagged(std::string(row.shown), fmt::format("{} {}", row.meaning, row.advice));
  out += fmt::format(".SH EXIT STATUS\n{}\n.SH ENVIRONMENT\n", roff(app.get_footer()));
  out += tagged("COLUMNS", "width of tables, where it is not the terminal's own");
  out += tagged("NO_COLOR, TERM=dumb", "no colours; a dumb terminal's lines are not overwritten");
  out += tagged("LC_ALL, LC_CTYPE, LANG", "tables are ASCII where the locale that is set has no UTF-8");
  out += tagged("LAYERCOST_CONFIGS", "folder of models, suites, prices and hardware");
  return out;
}

}  // namespace

void add_man(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("man", "the manual page: layercost man | man -l -");
  c->callback([&app, &action] {
    action = [&app] {
      show(page(app));
      return 0;
    };
  });
}

}  // namespace layercost

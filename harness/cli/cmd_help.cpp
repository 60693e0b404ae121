// layercost help: of a command, or of the words that reports use.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cli/commands.h"
#include "harness/cli/help_text.h"
#include "harness/cli/streams.h"
#include "harness/cli/terminal.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

std::string item(std::string_view name, const std::string& text) {
  constexpr std::size_t kName = 16;
  std::string out;
  for (const std::string& line : wrap(text, std::clamp(stdout_width(), kLeastWidth, kTableWidth) - kName - 2))
    out += " " + pad_right(out.empty() ? name : "", kName) + " " + line + "\n";
  return out;
}

std::string labels_text() {
  std::string out = "labels: what speaks against a number, on its row\n";
  for (const LabelText& row : label_texts()) out += item(row.shown, fmt::format("{} {}", row.meaning, row.advice));
  out += "\nwhat became of a part\n";
  for (const OutcomeText& row : outcome_texts()) out += item(row.shown, fmt::format("{} {}", row.meaning, row.advice));
  out += "\nlabels of a price\n";
  for (const PriceLabelText& row : price_label_texts()) out += item(row.shown, std::string(row.meaning));
  return out;
}

int help(CLI::App& app, const std::string& topic) {
  std::vector<std::string> known = {"labels"};
  if (topic.empty()) {
    app.clear();  // or the help is that of the command that was given, this one
    show(app.help());
  }
  if (topic == "labels") show(labels_text());
  if (topic.empty() || topic == "labels") return 0;
  for (const CLI::App* command : commands_of(app)) {
    if (command->get_name() == topic) {
      show(command->help(app.get_name()));
      return 0;
    }
    known.push_back(command->get_name());
  }
  throw BadInput(fmt::format("help: nothing is called '{}'{}; expected a command, or labels", printable(topic),
                             did_you_mean(topic, known)));
}

}  // namespace

void add_help(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("help", "of a command (layercost help run), or of labels");
  auto topic = std::make_shared<std::string>();
  c->add_option("topic", *topic, "a command, or labels");
  c->callback([topic, &app, &action] { action = [topic, &app] { return help(app, *topic); }; });
}

}  // namespace layercost

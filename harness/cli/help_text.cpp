// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/help_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/cli/commands.h"
#include "harness/cli/terminal.h"
#include "harness/plan/model.h"
#include "harness/report/report.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "harness/spec/claim_spec.h"
#include "harness/spec/hardware_spec.h"
#include "harness/spec/list_price.h"
#include "harness/spec/price_spec.h"
#include "harness/spec/suite_spec.h"
#include "kernels/contract/keys.h"
#include "kernels/core/weight_format.h"

namespace layercost {
namespace {

constexpr std::size_t kNames = 28;  // columns of what stands before a description

// "  -b,--batch VALUE            batch sizes, ..."; the description wraps in its column.
std::string entry(const std::string& names, const std::string& description) {
  const std::size_t width = std::clamp(stdout_width(), kLeastWidth, kTableWidth);
  std::string out = "  " + names;
  if (display_width(names) + 3 > kNames) out += "\n" + std::string(kNames, ' ');
  else out += std::string(kNames - 2 - display_width(names), ' ');
  bool first = true;
  for (const std::string& line : wrap(description, width - kNames)) {
    out += (first ? "" : std::string(kNames, ' ')) + line + "\n";
    first = false;
  }
  return first ? out + "\n" : out;
}

}  // namespace

std::string HelpText::make_option(const CLI::Option* option, bool is_positional) const {
  const bool takes_value = !is_positional && option->get_items_expected_max() > 0;
  return entry(make_option_name(option, is_positional) + (takes_value ? " VALUE" : ""), make_option_desc(option));
}

std::string HelpText::make_subcommand(const CLI::App* command) const {
  return entry(command->get_name(), command->get_description());
}

std::string HelpText::make_description(const CLI::App* app) const {
  return wrapped_lines(CLI::Formatter::make_description(app));
}

std::string HelpText::make_footer(const CLI::App* app) const {
  std::string out = "\n";
  for (const std::string& line : wrap(app->get_footer(), std::clamp(stdout_width(), kLeastWidth, kTableWidth)))
    out += line + "\n";
  return out;
}

std::vector<OptionFacts> options_of(const CLI::App& command) {
  std::vector<OptionFacts> all;
  for (const CLI::Option* option : command.get_options()) {
    OptionFacts facts{{}, option->get_description(), option->get_items_expected_max() > 0};
    for (const std::string& name : option->get_snames()) facts.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) facts.names.push_back("--" + name);
    if (!facts.names.empty()) all.push_back(std::move(facts));
  }
  return all;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> words_after(const std::string& command, const std::string& option) {
  std::vector<std::string> words;
  const auto configs = configs_dir();
  if (option == "--model") return list_models(configs);
  if (option == "--suite") return list_suites(configs);
  if (option == "--phase") return {"decode", "prefill"};
  if (option == "--dtype") return {"bf16", "f32"};
  if (option == "--routing") return {"balanced", "router", "uniform", "zipf:1"};
  if (option == "--mix") return {"agentic", "chat", "3:1"};
  if (option == "--twin") return {"1", "1,2,4"};
  if (option == "--kv-type") {
    for (const DType type : kCacheTypes) words.emplace_back(to_string(type));
  } else if (option == "--price") {
    for (const Price& price : list_prices(configs)) words.push_back(price_id(price));
  } else if (option == "--own") {
    for (const Price& price : list_prices(configs))
      if (std::holds_alternative<OwnedPrice>(price)) words.push_back(price_id(price));
  } else if (option == "--list-price") {
    for (const ListPrice& price : list_list_prices(configs)) words.push_back(price.id);
  } else if (option == "--claim") {
    for (const Claim& claim : list_claims(configs)) words.push_back(claim.id);
  } else if (option == "--on") {
    for (const HardwareSpec& hardware : list_hardware(configs)) words.push_back(hardware.id);
  } else if (option == "--weights-format") {
    for (const WeightFormat& format : weight_formats()) words.emplace_back(format.name);
  } else if (option == "--format") {
    const bool of_results = command != "compare" && command != "claims";
    for (const ReportFormat& format : report_formats())
      if (of_results || format.render_sections != nullptr) words.emplace_back(format.name);
  } else if (option == "--fail-on") {
    for (const LabelText& label : label_texts()) words.emplace_back(label.name);
  } else if (option.empty() && command == "list") {
    words = list_words();
  } else if (option.empty() && command == "completion") {
    words = {"bash", "fish", "zsh"};
  }
  return words;
}

}  // namespace layercost

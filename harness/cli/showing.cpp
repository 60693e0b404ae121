// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/showing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/figures.h"
#include "harness/cli/numbers.h"
#include "harness/cli/streams.h"
#include "harness/cli/terminal.h"
#include "harness/cost/summary.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

std::vector<Label> labels_of(const std::string& names) {
  std::vector<Label> labels;
  for (const std::string& name : fail_on_words(names, label_names(), "label"))
    labels.push_back(label_from_string(name).value());
  return labels;
}

std::string rendered(std::span<const ResultFile> files, const ShowOptions& o, const ReportFormat& format,
                     ReportOptions options) {
  if (format.draws) options.viewer = viewer_script(o.viewer);
  return format.render(files, options);
}

}  // namespace

std::vector<std::string> label_names() {
  std::vector<std::string> names;
  for (const LabelText& text : label_texts()) names.emplace_back(text.name);
  return names;
}

std::vector<std::string> fail_on_words(const std::string& text, const std::vector<std::string>& known,
                                       std::string_view kind) {
  std::vector<std::string> words;
  if (text.empty()) return words;
  for (const std::string& said : split_list(text)) {
    std::string word = ascii_lower(said);
    std::replace_if(
        word.begin(), word.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
    if (std::find(known.begin(), known.end(), word) == known.end())
      throw BadInput(fmt::format("--fail-on: unknown {} '{}'{}; known are {}", kind, printable(word),
                                 did_you_mean(word, known), fmt::join(known, ", ")));
    words.push_back(std::move(word));
  }
  return words;
}

void add_show_options(CLI::App& c, ShowOptions& o) {
  c.add_option("--format", o.format, format_help(FormatOf::results));
  c.add_option(
      "--viewer", o.viewer,
      "script that draws a page's figures (scripts/figures --install makes one, which is then found by itself)");
  c.add_flag("-v,--verbose", o.verbose, "single layers, limits and settings too");
  c.add_flag("--explain", o.explain, "also what the words and labels of the table mean");
  c.add_option("--min-tok-s-user", o.min_tok_s_user,
               "also name the cheapest batch at which each user still gets that many tokens per second")
      ->check(number_in(1e-6, 1e9));
  c.add_option("--fail-on", o.fail_on,
               "exit code 1 if anything measured carries one of these labels, e.g. impossible,shared "
               "(layercost help labels)");
}

std::string format_help(FormatOf of) {
  return report_format_names(of) + " (default: as the name of a report's file says, else a table)";
}

const ReportFormat& format_asked(const std::string& name, const OutFile& out, FormatOf of) {
  if (!name.empty()) return find_report_format(name, of);
  return out.is_stdout() ? find_report_format("table", of) : report_format_of_path(out.path, of);
}

void check_show_options(const ShowOptions& o, const OutFile& out) {
  format_asked(o.format, out, FormatOf::results);
  labels_of(o.fail_on);
}

std::string for_file(std::span<const ResultFile> files, const ShowOptions& o, const OutFile& out) {
  ReportOptions options;
  options.view = o.view();
  return rendered(files, o, format_asked(o.format, out, FormatOf::results), std::move(options));
}

std::string for_stdout(std::span<const ResultFile> files, const ShowOptions& o) {
  return rendered(files, o, format_asked(o.format, {}, FormatOf::results), screen_options(o.view()));
}

bool fails_on_labels(std::span<const ResultFile> files, const ShowOptions& o) {
  const std::vector<Label> labels = labels_of(o.fail_on);
  bool failed = false;
  if (labels.empty()) return failed;
  for (const ResultFile& file : files)
    for (const ModelRow& row : summarise(file).models)
      for (const Label label : labels)
        if (std::find(row.labels.begin(), row.labels.end(), label) != row.labels.end()) {
          tell("--fail-on: {} is {}\n", plain(to_text(row)), text_of(label).shown);
          failed = true;
        }
  return failed;
}

}  // namespace layercost

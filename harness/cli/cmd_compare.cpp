// layercost compare: what result files of any machines say of the same work.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "harness/cli/commands.h"
#include "harness/cli/out_file.h"
#include "harness/cli/reading.h"
#include "harness/cli/showing.h"
#include "harness/cli/streams.h"
#include "harness/cli/terminal.h"
#include "harness/cost/compare.h"
#include "harness/report/comparison.h"
#include "harness/report/report.h"
#include "harness/report/text.h"
#include "harness/result/atomic_file.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string baseline, band = "1", format, fail_on;
  OutFile out;
  bool verbose = false;
};

constexpr std::array<std::string_view, 4> kEvents = {"slower", "dearer", "inconclusive", "not_compared"};

std::vector<std::string> fail_words(const std::string& words) {
  std::vector<std::string> known(kEvents.begin(), kEvents.end());
  for (std::string& name : label_names()) known.push_back(std::move(name));
  return fail_on_words(words, known, "word");
}

// "1" or "1%" is 0.01.
double band_of(const std::string& text) {
  const std::string number = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
  double percent = 0;
  const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error != std::errc() || stop != number.data() + number.size() || !(percent >= 0 && percent <= 50))
    throw BadInput(fmt::format("--band: expected 0 to 50 percent, got '{}'", printable(text)));
  return percent / 100;
}

// Which of the files --baseline names, by its path.
std::size_t base_of(const Options& o) {
  if (o.baseline.empty()) return 0;
  for (std::size_t i = 0; i < o.files.size(); ++i)
    if (o.baseline == o.files[i] || (o.files[i] != "-" && same_file(o.baseline, o.files[i]))) return i;
  throw BadInput(fmt::format("--baseline: '{}' is none of the files to compare{}", printable(o.baseline),
                             did_you_mean(o.baseline, o.files)));
}

// Everything that can be said before a file is read.
void check(const Options& o) {
  if (o.files.size() < 2)
    throw BadInput(fmt::format("compare: expected two result files or more, got {}", o.files.size()));
  check_out(o.out, o.files);
  fail_words(o.fail_on);
  band_of(o.band);
  base_of(o);
}

void refuse_twice(const Options& o, const std::vector<ResultFile>& files) {
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (const auto [at, fresh] = seen.try_emplace(files[i].content_hash, i); !fresh)
      throw BadInput(fmt::format("compare: {} and {} hold the same result; a run is not compared with itself",
                                 printable(o.files[at->second]), printable(o.files[i])));
}

// Each told once on standard error.
bool fails(const Options& o, const CompareReport& report) {
  const std::vector<std::string> asked = fail_words(o.fail_on);
  const auto is_asked = [&](std::string_view word) {
    return std::find(asked.begin(), asked.end(), word) != asked.end();
  };
  bool failed = false;
  const auto fail = [&](const ScenarioRecord& of, std::size_t file, std::string_view what) {
    tell("--fail-on: {} of {} is {}\n", plain(to_text(of)), printable(o.files[file], 200), what);
    failed = true;
  };
  const bool any_whole = std::any_of(report.works.begin(), report.works.end(), [](const ComparedWork& work) {
    return work.kind.empty() && work.sides.front().time_s.has_value();
  });
  for (const ComparedWork& work : report.works) {
    if (!work.kind.empty() && any_whole) continue;  // its whole model is looked at
    for (const ComparedSide& side : work.sides) {
      if (is_asked("slower") && side.verdict == Comparison::slower) fail(work.of, side.file, "SLOWER");
      if (is_asked("dearer") && side.cost_verdict == Comparison::slower) fail(work.of, side.file, "DEARER");
      if (is_asked("inconclusive") && side.verdict == Comparison::inconclusive)
        fail(work.of, side.file, "INCONCLUSIVE");
      for (const Label label : side.labels)
        if (is_asked(text_of(label).name)) fail(work.of, side.file, text_of(label).shown);
    }
  }
  if (is_asked("not_compared"))
    for (const NotCompared& refused : report.refused) fail(refused.of, refused.where.front().first, "not compared");
  return failed;
}

int compare_files(const Options& o) {
  check(o);
  const std::string format(format_asked(o.format, o.out, FormatOf::sections).name);
  const std::vector<ResultFile> files = read_results(o.files);
  refuse_twice(o, files);
  const CompareReport report = compare(files, base_of(o), band_of(o.band));
  const View view{o.verbose, false};
  ReportOptions file_options;
  file_options.view = view;
  const std::string text =
      render_comparison(report, files, o.files, format, o.out.is_stdout() ? screen_options(view) : file_options);
  if (o.out.is_stdout()) fmt::print("{}", text);
  else write_out(o.out, text);
  if (report.works.empty()) tell("compare: none of these files did the same work as another\n");
  return fails(o, report) || report.works.empty() ? 1 : 0;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("compare", "hold result files, of any machines, against each other");
  auto o = std::make_shared<Options>();
  c->add_option("files", o->files, "result files, two or more; the first is the base; - is standard input")->required();
  c->add_option("--baseline", o->baseline, "the file that the others are held against, if not the first");
  c->add_option("--band", o->band, "how many percent of difference are still the SAME")->capture_default_str();
  c->add_option("--format", o->format, format_help(FormatOf::sections));
  add_out_options(*c, o->out);
  c->add_flag("-v,--verbose", o->verbose, "single layers too");
  c->add_option("--fail-on", o->fail_on,
                "exit code 1 if anything is slower, dearer, inconclusive or not_compared, or carries one of these "
                "labels (layercost help labels)");
  c->callback([o, &action] { action = [o] { return compare_files(*o); }; });
}

}  // namespace layercost

// layercost report, layercost cost: from result files alone, on any machine.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/figures.h"
#include "harness/cli/out_file.h"
#include "harness/cli/price_record.h"
#include "harness/cli/reading.h"
#include "harness/cli/showing.h"
#include "harness/result/result_io.h"

namespace layercost {
namespace {

struct Options {
  std::vector<std::string> files;
  OutFile out;
  std::string figures, expected_hash;
  ShowOptions show;
  PriceOptions price;
  AgainstOptions against;
};

// Before a file is read.
void check(const Options& o) {
  check_out(o.out, o.files);
  check_show_options(o.show, o.out);
}

int show(const Options& o, const std::vector<ResultFile>& files) {
  if (!o.figures.empty())
    if (const int code = write_figures(files, o.figures, o.out.force); code != 0 || o.out.path.empty()) return code;
  if (o.out.is_stdout()) fmt::print("{}", for_stdout(files, o.show));
  else write_out(o.out, for_file(files, o.show, o.out));
  return fails_on_labels(files, o.show) ? 1 : 0;
}

// Of the content, not of the bytes; at least as many digits as the screen shows.
void check_hash(const Options& o, const std::vector<ResultFile>& files) {
  if (o.expected_hash.empty()) return;
  const std::string expected = ascii_lower(o.expected_hash);
  if (expected.size() < 16 || expected.size() > 64 ||
      expected.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw BadInput(
        fmt::format("--expect-hash: expected 16 to 64 hexadecimal digits, got '{}'", printable(o.expected_hash)));
  if (files.size() != 1) throw BadInput("--expect-hash: is of one file");
  if (!files.front().content_hash.starts_with(expected))
    throw BadInput(o.files.front(), "",
                   fmt::format("its content has the SHA-256 {}, expected {}", files.front().content_hash, expected));
}

void add_options(CLI::App& c, Options& o) {
  c.add_option("files", o.files, "result files; - is standard input")->required();
  add_out_options(c, o.out);
  c.get_option("--force")->description("replace files that are there already");
  c.add_option("--figures", o.figures, "write each figure into this folder, as SVG, PDF, PNG and Vega-Lite");
  add_show_options(c, o.show);
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("report", "show result files as " + report_format_names());
  auto o = std::make_shared<Options>();
  add_options(*c, *o);
  add_against_options(*c, o->against);
  c->add_option("--expect-hash", o->expected_hash,
                "refuse a file whose content has another SHA-256 (layercost cite shows it)");
  c->callback([o, &action] {
    action = [o] {
      check(*o);
      std::vector<ResultFile> files = read_results(o->files);
      check_hash(*o, files);
      for (ResultFile& f : files) {
        if (f.price) label_superseded(*f.price, configs_dir());
        f.against = against_record(o->against, f.price, false, f.environment.device_name, configs_dir());
      }
      return show(*o, files);
    };
  });
}

void add_cost(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("cost", "show result files at another price, without measuring again");
  auto o = std::make_shared<Options>();
  add_options(*c, *o);
  add_price_options(*c, o->price, true);
  add_against_options(*c, o->against);
  c->callback([o, &action] {
    action = [o] {
      check(*o);
      std::vector<ResultFile> files = read_results(o->files);
      for (ResultFile& f : files) {
        const std::string& device = f.environment.device_name;
        f.price = price_record(o->price, device, configs_dir());
        f.against = against_record(o->against, f.price, o->price.other_device, device, configs_dir());
      }
      return show(*o, files);
    };
  });
}

}  // namespace layercost

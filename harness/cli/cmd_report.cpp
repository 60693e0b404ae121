// layercost report, layercost cost: from result files alone, on any machine.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/figures.h"
#include "harness/cli/price_record.h"
#include "harness/cli/showing.h"
#include "harness/result/atomic_file.h"
#include "harness/result/result_io.h"

namespace layercost {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string out, figures;
  ShowOptions show;
  PriceOptions price;
  AgainstOptions against;
};

// "-": a result that another program writes to our standard input.
std::string read_stdin() {
  std::string text;
  char block[1 << 16];
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, block, sizeof block);
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw BadInput("standard input", "", std::strerror(errno));
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > kResultMaxBytes)
      throw BadInput("standard input", "", fmt::format("more than {} bytes", kResultMaxBytes));
  }
}

std::vector<ResultFile> read_all(const Options& o) {
  std::vector<ResultFile> out;
  bool from_stdin = false;
  for (const std::string& f : o.files) {
    if (f == "-" && std::exchange(from_stdin, true)) throw BadInput("-: standard input can be read once");
    out.push_back(f == "-" ? result_from_text("standard input", read_stdin()) : read_result(f));
  }
  return out;
}

int show(const Options& o, const std::vector<ResultFile>& files) {
  const bool to_stdout = o.out.empty() || o.out == "-";
  for (const std::string& file : o.files)  // a report can be made again; what was measured cannot
    if (!to_stdout && same_file(o.out, file))
      throw BadInput("-o: '" + printable(o.out) + "' is one of the results to be shown; name another file");
  check_show_options(o.show);
  if (!o.figures.empty())
    if (const int code = write_figures(files, o.figures); code != 0 || o.out.empty()) return code;
  if (to_stdout) {
    fmt::print("{}", for_stdout(files, o.show));
  } else {
    write_file_atomically(o.out, for_file(files, o.show, o.out));
  }
  return fails_on_labels(files, o.show) ? 1 : 0;
}

void add_options(CLI::App& c, Options& o) {
  c.add_option("files", o.files, "result files; - is standard input")->required();
  c.add_option("-o,--output", o.out, "write to this file; its extension chooses the format (-: standard output)");
  c.add_option("--figures", o.figures, "write each figure into this folder, as SVG, PDF, PNG and Vega-Lite");
  add_show_options(c, o.show);
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("report", "show result files as " + report_format_names());
  auto o = std::make_shared<Options>();
  add_options(*c, *o);
  add_against_options(*c, o->against);
  c->callback([o, &action] {
    action = [o] {
      std::vector<ResultFile> files = read_all(*o);
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
      std::vector<ResultFile> files = read_all(*o);
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

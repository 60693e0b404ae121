// layercost report, layercost cost: from result files alone, on any machine.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/price_record.h"
#include "harness/report/report.h"
#include "harness/result/atomic_file.h"
#include "harness/result/result_io.h"

namespace layercost {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string out, format;
  PriceOptions price;
};

std::vector<ResultFile> read_all(const Options& o) {
  std::vector<ResultFile> out;
  for (const std::string& f : o.files) out.push_back(read_result(f));
  return out;
}

int show(const Options& o, const std::vector<ResultFile>& files) {
  for (const std::string& file : o.files)  // a report can be made again; what was measured cannot
    if (!o.out.empty() && same_file(o.out, file))
      throw BadInput("-o: '" + printable(o.out) + "' is one of the results to be shown; name another file");
  const ReportFormat& format = find_report_format(!o.format.empty() ? o.format : !o.out.empty() ? o.out : "table");
  const std::string text = format.render(files, {o.out.empty() && stdout_is_terminal()});
  if (o.out.empty()) fmt::print("{}", text);
  else write_file_atomically(o.out, text);
  return 0;
}

void add_options(CLI::App& c, Options& o) {
  c.add_option("files", o.files, "result files")->required();
  c.add_option("-o,--output", o.out, "write to this file; its extension chooses the format");
  c.add_option("--format", o.format, report_format_names());
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("report", "show result files as " + report_format_names());
  auto o = std::make_shared<Options>();
  add_options(*c, *o);
  c->callback([o, &action] { action = [o] { return show(*o, read_all(*o)); }; });
}

void add_cost(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("cost", "show result files at another price, without measuring again");
  auto o = std::make_shared<Options>();
  add_options(*c, *o);
  add_price_options(*c, o->price, true);
  c->callback([o, &action] {
    action = [o] {
      std::vector<ResultFile> files = read_all(*o);
      for (ResultFile& f : files) f.price = price_record(o->price, f.environment.device_name, configs_dir());
      return show(*o, files);
    };
  });
}

}  // namespace layercost

// layercost claims: what others say of a token's cost, held against arithmetic and results.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cli/commands.h"
#include "harness/cli/out_file.h"
#include "harness/cli/reading.h"
#include "harness/cli/showing.h"
#include "harness/cli/terminal.h"
#include "harness/report/claims.h"
#include "harness/report/report.h"

namespace layercost {
namespace {

struct Options {
  std::vector<std::string> files, claims;
  std::string format;
  OutFile out;
};

int claims(const Options& o) {
  check_out(o.out, o.files);
  const std::string_view format = format_asked(o.format, o.out, FormatOf::sections).name;
  std::vector<Claim> asked;
  for (const std::string& word : o.claims) asked.push_back(find_claim(word, configs_dir()));
  if (o.claims.empty()) asked = list_claims(configs_dir());
  const std::vector<ResultFile> files = read_results(o.files);
  const std::vector<ClaimFinding> findings = judge_claims(asked, files, list_list_prices(configs_dir()));
  if (o.out.is_stdout()) fmt::print("{}", render_claims(findings, format, screen_options({})));
  else write_out(o.out, render_claims(findings, format, {}));
  return 0;
}

}  // namespace

void add_claims(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("claims", "what others say of a token's cost, held against arithmetic and results");
  auto o = std::make_shared<Options>();
  c->add_option("files", o->files,
                "result files; - is standard input; without any only what can be recomputed is judged");
  c->add_option("--claim", o->claims, "these alone (layercost list claims), or a file")->take_all();
  c->add_option("--format", o->format, format_help(FormatOf::sections));
  add_out_options(*c, o->out);
  c->callback([o, &action] { action = [o] { return claims(*o); }; });
}

}  // namespace layercost

// layercost cite: a measured number with its conditions, for a text that quotes it.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cli/commands.h"
#include "harness/cli/reading.h"
#include "harness/report/citation.h"

namespace layercost {
namespace {

struct Options {
  std::string file, claim;
  bool preliminary = false;
};

int cite(const Options& o) {
  const std::vector<ResultFile> files = read_results({o.file});
  fmt::print("{}", citation(files.front(), o.claim, o.preliminary));
  return 0;
}

}  // namespace

void add_cite(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("cite", "print a sentence, BibTeX and the hash for quoting a result");
  auto o = std::make_shared<Options>();
  c->add_option("file", o->file, "a result file; - is standard input")->required();
  c->add_option("--claim", o->claim,
                "words of the point to quote, e.g. 'qwen3-4b decode batch 8'; without it, all that can be quoted");
  c->add_flag("--preliminary", o->preliminary, "also points that are PRELIMINARY; the sentence says so");
  c->callback([o, &action] { action = [o] { return cite(*o); }; });
}

}  // namespace layercost

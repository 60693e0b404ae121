// layercost merge: result files of one machine and program made into one.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/streams.h"
#include "harness/cost/summary.h"
#include "harness/result/atomic_file.h"
#include "harness/result/merge.h"
#include "harness/result/result_io.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> files, pairs;
  std::string out;
  bool force = false;
};

int merge(const Options& o) {
  std::vector<NamedResult> files;
  std::error_code missing;
  for (std::size_t i = 0; i < o.files.size(); ++i) {
    for (std::size_t other = 0; other < i; ++other) {
      if (same_file(o.files[i], o.files[other]))
        throw BadInput(fmt::format("merge: {} is given twice; its rounds would count twice", printable(o.files[i])));
    }
    if (same_file(o.files[i], o.out))
      throw BadInput(fmt::format("-o: {} is one of the files to merge, which stay as they are", printable(o.out)));
    files.push_back({o.files[i], read_result(o.files[i])});
  }
  const bool replaces = fs::exists(o.out, missing);
  if (replaces && !o.force) throw BadInput(o.out, "", "exists already; --force replaces it");
  ResultFile result = merge_results(files);
  for (const std::string& pair : o.pairs) add_pair(result, pair);
  result.command = command_words();
  OwnedFile out = replaces ? OwnedFile::existing(o.out) : OwnedFile::fresh(o.out);
  out.write(result_to_text(result, to_json(summarise(result))));
  for (const Warning& w : result.warnings)
    if (w.code.starts_with("merged_")) tell("{}: {}\n", w.code, printable(w.text, 1000));
  tell("result: {}\n", o.out);
  return 0;
}

}  // namespace

void add_merge(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("merge", "make one result file of several runs of this program on one machine");
  auto o = std::make_shared<Options>();
  c->add_option("files", o->files, "result files; their rounds follow one another in this order")->required();
  c->add_option("-o,--output", o->out, "the result file to write")->required();
  c->add_flag("--force", o->force, "replace the file that -o names");
  c->add_option("--pair", o->pairs, "DENSE:MOE, two of their models to hold against each other; may be repeated")
      ->expected(1);
  c->callback([o, &action] { action = [o] { return merge(*o); }; });
}

}  // namespace layercost

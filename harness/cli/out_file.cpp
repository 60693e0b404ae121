// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/out_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "harness/result/atomic_file.h"
#include "kernels/core/error.h"

namespace layercost {

void add_out_options(CLI::App& c, OutFile& o) {
  c.add_option("-o,--output", o.path,
               "write to this file, a new one; its extension chooses the format (-: standard output)");
  c.add_flag("--force", o.force, "replace the file that -o names");
}

void check_out(const OutFile& o, const std::vector<std::string>& shown) {
  if (o.is_stdout()) return;
  for (const std::string& file : shown)
    if (same_file(o.path, file))
      throw BadInput(fmt::format("-o: '{}' is one of the results to be shown; name another file", printable(o.path)));
  refuse_unwritable(o.path);
  std::error_code ignored;
  if (!o.force && std::filesystem::exists(o.path, ignored))
    throw BadInput(o.path, "", "exists already; --force replaces it");
}

// A file that came to stand there meanwhile is not replaced either.
void write_out(const OutFile& o, std::string_view text) {
  if (o.force) return write_file_atomically(o.path, text);
  OwnedFile::fresh(o.path).write(text);
}

}  // namespace layercost

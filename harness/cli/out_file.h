// What:    the file that -o names, for the commands that show results: a new one, or with --force one that is replaced.
// Errors:  BadInput for a name that cannot be written, that stands for a file already, or for one of the files to be
//          shown: a report can be made again, what was measured cannot.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace layercost {

struct OutFile {
  std::string path;  // "" or "-": standard output
  bool force = false;
  bool is_stdout() const { return path.empty() || path == "-"; }
};
void add_out_options(CLI::App&, OutFile&);

// Before anything is read: `shown` are the result files.
void check_out(const OutFile&, const std::vector<std::string>& shown);
// The whole file or nothing.
void write_out(const OutFile&, std::string_view text);

}  // namespace layercost

// What:    the commands of the program, one file each. A command adds itself to the parser and sets what is to be run.
// Rules:   a command returns the exit code: 0 everything asked was done or knowingly unsupported, 1 wrong, failed or
//          incomplete. BadInput becomes 2 in main, with one line on standard error. Results go to standard output,
//          progress and warnings to standard error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "kernels/core/error.h"

namespace layercost {

struct DeviceInfo;
using Action = std::function<int()>;

void add_run(CLI::App&, Action&);
void add_check(CLI::App&, Action&);
void add_plan(CLI::App&, Action&);
void add_project(CLI::App&, Action&);
void add_list(CLI::App&, Action&);
void add_report(CLI::App&, Action&);
void add_cost(CLI::App&, Action&);
void add_claims(CLI::App&, Action&);
void add_compare(CLI::App&, Action&);
void add_cite(CLI::App&, Action&);
void add_merge(CLI::App&, Action&);
void add_ops(CLI::App&, Action&);
void add_doctor(CLI::App&, Action&);

// What this machine is, and the three commands to try: `layercost` alone.
int welcome();

// "34 MB last-level cache", "268 MB in 8 last-level caches".
std::string cache_words(const DeviceInfo&);

// What `layercost list` can list.
std::vector<std::string> list_words();

// Where models, prices and suites lie: $LAYERCOST_CONFIGS, else "configs" beside the program, else where it was
// installed (../share/layercost), else the source tree.
std::filesystem::path configs_dir();

// The words of the command line, for result files: file names without their folders.
std::vector<std::string>& command_words();

void add_help(CLI::App&, Action&);
void add_completion(CLI::App&, Action&);
void add_man(CLI::App&, Action&);

// "a,b" -> "a" and "b"; of "" one that is empty.
std::vector<std::string> split_list(const std::string& text);
// "1,8,64" -> numbers in 1..high; BadInput names the option.
std::vector<std::int64_t> parse_list(const std::string& option, const std::string& text, std::int64_t high);

}  // namespace layercost

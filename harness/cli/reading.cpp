// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/reading.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>

#include "harness/cli/commands.h"
#include "harness/cli/price_record.h"
#include "harness/result/result_io.h"
#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

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

}  // namespace

// Side by side: reading and hashing is nine tenths of comparing 200 files.
std::vector<ResultFile> read_results(const std::vector<std::string>& files) {
  if (std::count(files.begin(), files.end(), "-") > 1) throw BadInput("-: standard input can be read once");
  std::vector<ResultFile> out(files.size());
  std::vector<std::exception_ptr> problems(files.size());
  const std::filesystem::path configs = configs_dir();
  each_row(static_cast<std::int64_t>(files.size()), files.size() > 1, [&](std::int64_t row) {
    const auto i = static_cast<std::size_t>(row);
    try {
      out[i] = files[i] == "-" ? result_from_text("standard input", read_stdin()) : read_result(files[i]);
      if (out[i].price) label_example(*out[i].price, configs);
    } catch (...) {
      problems[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& problem : problems)
    if (problem != nullptr) std::rethrow_exception(problem);
  return out;
}

}  // namespace layercost

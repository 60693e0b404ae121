// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/reading.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/result/result_io.h"
#include "kernels/core/error.h"

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

std::vector<ResultFile> read_results(const std::vector<std::string>& files) {
  std::vector<ResultFile> out;
  bool from_stdin = false;
  for (const std::string& f : files) {
    if (f == "-" && std::exchange(from_stdin, true)) throw BadInput("-: standard input can be read once");
    out.push_back(f == "-" ? result_from_text("standard input", read_stdin()) : read_result(f));
  }
  return out;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace layercost {

void prepare_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // Opened the wrong way round: what is written there is refused, as it would be by the closed descriptor.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

void tell_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  std::clearerr(stderr);
}

void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int close_output(int code) {
  std::cout.flush();
  bool failed = std::ferror(stdout) != 0 || !std::cout;
  errno = 0;
  failed |= std::fflush(stdout) != 0;
  // Closing a copy asks a network file system whether it could store everything; the descriptor itself stays, for what
  // is destroyed after main.
  if (const int copy = ::dup(STDOUT_FILENO); copy < 0 || ::close(copy) != 0) failed = true;
  if (!failed) return code;
  tell("layercost: standard output could not be written{}\n",
       errno != 0 ? fmt::format(": {}", std::strerror(errno)) : "");
  return code == 0 ? 1 : code;
}

}  // namespace layercost

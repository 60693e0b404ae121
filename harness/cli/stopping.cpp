// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/stopping.h"

#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "harness/measure/layer.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

std::atomic<bool>* asked_now = nullptr;  // of the one that there is

}  // namespace

Stopping::Stopping(std::function<int()> give_up) : give_up_(std::move(give_up)) {
  ::sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    if (signal != SIGHUP || action.sa_handler != SIG_IGN) ::sigaddset(&signals_, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  asked_now = &asked_;
  set_interrupt_check([] {
    if (asked_now != nullptr && *asked_now) throw Interrupted("stopped");
  });
  thread_ = std::thread([this] { wait(); });
}

Stopping::~Stopping() {
  over_ = true;
  ::pthread_kill(thread_.native_handle(), SIGTERM);  // it waits for one
  thread_.join();                                    // where it has claimed the run, for ever: it ends the program
  asked_now = nullptr;
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Stopping::wait_for_the_end() {
  for (;;) ::pause();
}

void Stopping::wait() {
  int signal = 0;
  if (::sigwait(&signals_, &signal) != 0 || over_) return;
  asked_ = true;
  timespec patience{0, static_cast<long>(kPatience_s * 1e9)};
  int next = ::sigtimedwait(&signals_, nullptr, &patience);
  if (over_) return;
  if (next < 0 && claim()) {
    const int code = give_up_();
    std::fflush(stdout);
    ::_exit(code);
  }
  if (next < 0 && ::sigwait(&signals_, &next) != 0) return;  // the run is being ended by the other thread
  if (over_) return;
  std::signal(next, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  std::raise(next);
}

}  // namespace layercost

// What:    Ctrl-C, SIGTERM and SIGHUP are answered within a second, whatever is being done: probing, packing, computing
//          a reference.
// How:     a thread waits for the signals. The first makes interrupt_check() throw Interrupted. Whoever comes first
//          ends the run: the program's own thread, which asks claim() once it is through, or, kPatience_s later, the
//          waiting thread, which calls `give_up` and ends the program with what it returns. A second signal ends the
//          program at once.
// Rules:   to be made before any other thread, which have to leave these signals to this one. `give_up` runs while the
//          others do: it touches only what it guards. A signal that was ignored from the beginning (nohup) stays so.
// Units:   seconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

namespace layercost {

class Stopping {
 public:
  static constexpr double kPatience_s = 0.5;

  explicit Stopping(std::function<int()> give_up);
  Stopping(const Stopping&) = delete;
  ~Stopping();

  bool asked() const { return asked_; }
  // True: the caller ends the run. False: the waiting thread does, and the caller must not come back from waiting.
  bool claim() { return !claimed_.exchange(true); }
  [[noreturn]] static void wait_for_the_end();

 private:
  void wait();

  std::function<int()> give_up_;
  sigset_t signals_ = {}, before_ = {};
  std::atomic<bool> asked_ = false, claimed_ = false, over_ = false;
  std::thread thread_;
};

}  // namespace layercost

// What:    pieces of work that threads take one by one, so that a thread that is slowed down (a busy neighbour on its
//          core) does fewer of them. A thread takes its next piece before it does this one and so can ask for its data.
// Use:     claims.reset(n) before the parallel region; inside it every thread calls claims.each(f).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace layercost {

class Claims {
 public:
  void reset(std::int64_t count) {
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
  }
  // f(piece, the piece that this thread does after it, or -1).
  template <class F>
  void each(F&& f) {
    std::int64_t piece = take();
    while (piece < count_) {
      const std::int64_t after = take();
      f(piece, after < count_ ? after : -1);
      piece = after;
    }
  }

 private:
  std::int64_t take() { return next_.fetch_add(1, std::memory_order_relaxed); }
  std::int64_t count_ = 0;
  std::atomic<std::int64_t> next_{0};
};

}  // namespace layercost

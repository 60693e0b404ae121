// What:    what a run says on standard error while it measures: one line that is overwritten, and each point's first
//          number as soon as there is one.
// Rules:   no line is wider than the terminal: it would wrap, and the next one stand below it. Where lines are not
//          overwritten (no terminal, TERM=dumb), a plain one at most every ten seconds. Everything: each step, plain.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>

#include "harness/result/record.h"

namespace layercost {

std::string duration_text(double seconds);  // "12 s", "3 min 5 s"

class Progress {
 public:
  enum class Amount { nothing, some, everything };
  explicit Progress(Amount amount);

  void show(const std::string& what, double done);
  void first_numbers(const ResultFile& result);
  void end() const;

 private:
  bool overwrites() const;
  Amount amount_;
  double start_, last_ = 0;
  std::set<std::size_t> told_;  // points
};

}  // namespace layercost

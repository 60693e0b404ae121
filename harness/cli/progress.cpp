// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/cli/streams.h"
#include "harness/cli/terminal.h"
#include "harness/cost/composition.h"
#include "harness/report/text.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

std::string for_stderr(const std::string& text) {
  return shorten(is_ascii_only() ? ascii_text(text) : text, std::max<std::size_t>(stderr_width(), 2) - 1);
}

}  // namespace

std::string duration_text(double seconds) {
  return seconds < 90 ? fmt::format("{:.0f} s", seconds)
                      : fmt::format("{:.0f} min {:.0f} s", std::floor(seconds / 60), std::fmod(seconds, 60));
}

Progress::Progress(Amount amount) : amount_(amount), start_(now_s()) {}

bool Progress::overwrites() const { return amount_ == Amount::some && overwrites_lines(); }

void Progress::show(const std::string& what, double done) {
  if (amount_ == Amount::nothing) return;
  const double elapsed = now_s() - start_;
  std::string left;
  if (done > 0.02) left = fmt::format(", {} left", duration_text(elapsed / done * (1 - done)));
  const std::string line = fmt::format("[{:3.0f} %{}] {}", 100 * done, left, what);
  if (overwrites()) return tell("\r\x1b[K{}", for_stderr(line));
  if (amount_ == Amount::some && now_s() - last_ <= 10) return;
  tell("{}\n", line);
  last_ = now_s();
}

void Progress::first_numbers(const ResultFile& result) {
  if (amount_ == Amount::nothing || told_.size() == result.points.size()) return;
  for (std::size_t p = 0; p < result.points.size(); ++p) {
    if (told_.contains(p)) continue;
    const PointRecord& point = result.points[p];
    const Composition whole = compose(point, {});
    if (!whole.time_s) continue;
    told_.insert(p);
    end();
    tell("{}\n", for_stderr(fmt::format("{} {} batch {}: {} a step, the first of {} rounds", plain(point.model, 60),
                                        point.phase, point.batch, time_text(whole.time_s),
                                        result.policy ? result.policy->rounds : 1)));
  }
}

void Progress::end() const {
  if (overwrites()) tell("\r\x1b[K");
}

}  // namespace layercost

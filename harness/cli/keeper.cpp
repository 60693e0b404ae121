// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/keeper.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "harness/cli/streams.h"
#include "harness/cost/summary.h"
#include "harness/result/result_io.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

constexpr double kCopyEvery_s = 0.1;  // a copy of 8000 points takes as long as a short cell
constexpr double kSaveEvery_s = 2;    // the file is rewritten whole

// Whether everything that was asked for was measured, or is knowingly unsupported.
bool is_whole(const ResultFile& result) {
  for (const PointRecord& p : result.points)
    for (const PartRecord& part : p.parts)
      if (part.outcome == Outcome::wrong) return false;
  return result.complete;
}

std::int64_t rounds_of(const ResultFile& result) {
  std::int64_t rounds = 0;
  for (const PointRecord& point : result.points)
    for (const PartRecord& part : point.parts) rounds += static_cast<std::int64_t>(part.rounds.size());
  return rounds;
}

}  // namespace

std::string utc_now(const char* format) {
  return fmt::format(fmt::runtime(format),
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

void Keeper::begin(const ResultFile& result) {
  const std::lock_guard lock(guard_);
  if (saver_) saver_->begin(result);
  last_ = result;
  last_save_s_ = now_s();
}

void Keeper::changed(const ResultFile& result) {
  const std::lock_guard lock(guard_);
  if (now_s() - last_copy_s_ < kCopyEvery_s) return;
  last_ = result;
  last_copy_s_ = now_s();
  if (!saver_ || now_s() - last_save_s_ < kSaveEvery_s) return;
  last_->finished_at = utc_now();
  saver_->save(*last_);
  last_save_s_ = now_s();
}

int Keeper::give_up() {
  const std::lock_guard lock(guard_);
  if (last_) return conclude(std::move(*last_), true);
  tell("\nstopped before anything was measured; no file was written\n");
  return 1;
}

int Keeper::conclude(ResultFile result, bool stopped) {
  result.finished_at = utc_now();
  const bool whole = is_whole(result);
  const bool saved = !saver_ || saver_->finish(result, whole);
  const std::vector<ResultFile> files = {result};
  if (!saver_ && show_.format.empty()) show(result_to_text(result, to_json(summarise(result))));
  else show(for_stdout(files, show_));
  if (!quiet_)
    for (const Warning& w : result.warnings) tell("{}: {}\n", w.code, w.text);
  if (!saved) return 1;
  if (stopped) tell_kept(result);
  else if (saver_ && !quiet_) tell("result: {}\n", saver_->path());
  return fails_on_labels(files, show_) || !whole ? 1 : 0;
}

void Keeper::tell_kept(const ResultFile& result) const {
  const std::int64_t rounds = rounds_of(result);
  const std::string what =
      rounds == 0 ? "nothing yet" : fmt::format("{} round{} of layers and heads", rounds, rounds == 1 ? "" : "s");
  if (!saver_) return tell("stopped; what was measured went to standard output: {}\n", what);
  tell("stopped; what was measured is in {}: {}\nto go on: layercost run ... {}\n", saver_->path(), what,
       saver_->resume_words());
}

}  // namespace layercost

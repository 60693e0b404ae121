// What:    where the result of a run goes while it grows, what is said of it at the end, and the exit code.
// Threads: the measuring thread calls begin, changed and conclude; the one that waits for signals calls give_up while
//          the other goes on. Stopping::claim sees to it that one of them ends the run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>

#include "harness/cli/result_saver.h"
#include "harness/cli/showing.h"

namespace layercost {

std::string utc_now(const char* format = "{:%Y-%m-%dT%H:%M:%SZ}");

class Keeper {
 public:
  Keeper(const ShowOptions& show, bool quiet) : show_(show), quiet_(quiet) {}

  // Without one the result goes to standard output alone (-o -).
  void set_saver(ResultSaver saver) { saver_ = std::move(saver); }
  void begin(const ResultFile& result);
  void changed(const ResultFile& result);
  int give_up();
  int conclude(ResultFile result, bool stopped);

 private:
  void tell_kept(const ResultFile& result) const;

  const ShowOptions& show_;
  bool quiet_;
  std::mutex guard_;
  std::optional<ResultSaver> saver_;
  std::optional<ResultFile> last_;  // as it was at the last call of changed
  double last_copy_s_ = 0, last_save_s_ = 0;
};

}  // namespace layercost

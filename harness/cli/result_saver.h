// What:    where the result of a run goes while it grows.
// How:     -o NAME          a new file. With --force one that exists stays as it is until the run has ended
//                           with nothing missing; meanwhile the result grows beside it, in NAME.partial.json, which
//                           stays if the run is stopped.
//          --resume FILE    the file itself, which only gains; with -o it is read and the result is a file of its own.
//          neither          layercost-TIME.json, -2, -3, ... : the first that nobody has.
//          From begin() on the file is this run's: another run on the same name is refused (OwnedFile).
// Errors:  until begin() what cannot be written is an error. After it measuring goes on: a save that fails is told once
//          and tried again at the next.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "harness/result/atomic_file.h"
#include "harness/result/record.h"

namespace layercost {

class ResultSaver {
 public:
  // BadInput for a name that this run may not have. `stem`: of the default name.
  ResultSaver(const std::string& out, const std::string& resume, bool force, std::string stem);

  void begin(const ResultFile&);
  void save(const ResultFile&) noexcept;
  // The last save; whether the result is in a file now. `whole`: it may replace what --force named.
  bool finish(const ResultFile&, bool whole) noexcept;

  std::string path() const { return file_ ? file_->path().string() : std::string(); }
  std::string resume_words() const;  // options that go on with this file

 private:
  void write(const ResultFile&);
  void go_on_beside();

  std::string stem_;
  std::optional<OwnedFile> file_, replaced_;  // what grows; what it shall replace
  std::string trouble_;                       // of the last save; empty if it went well
  bool told_ = false;
};

}  // namespace layercost

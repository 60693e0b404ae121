// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/result_saver.h"

#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "harness/cli/streams.h"
#include "harness/cost/summary.h"
#include "harness/result/result_io.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

// "a/r.json" -> "a/r-2.json", "a/r.partial.json"
fs::path beside(const fs::path& path, const std::string& word) {
  return path.parent_path() / (path.stem().string() + word + path.extension().string());
}

constexpr int kNames = 10'000;  // -2, -3, ...: beyond it something is wrong with the folder

}  // namespace

ResultSaver::ResultSaver(const std::string& out, const std::string& resume, bool force, std::string stem)
    : stem_(std::move(stem)) {
  const std::string target = out.empty() ? resume : out;
  if (target.empty()) return;  // begin() finds a name
  if (!resume.empty() && (out.empty() || same_file(out, resume))) {
    file_ = OwnedFile::existing(resume);
    return;
  }
  refuse_unwritable(target);
  std::error_code ignored;
  if (!fs::exists(target, ignored)) {
    file_ = OwnedFile::fresh(target);
    return;
  }
  if (!force)
    throw BadInput(target, "",
                   "exists already; --force replaces it when the new result is complete, --resume goes on with it");
  replaced_ = OwnedFile::existing(target);
  const fs::path partial = beside(target, ".partial");
  if (!resume.empty() && same_file(partial, resume)) {
    file_ = OwnedFile::existing(partial);
  } else if (fs::exists(partial, ignored)) {
    OwnedFile::existing(partial);  // another run's
    throw BadInput(partial.string(), "",
                   "holds what an earlier run measured; --resume goes on with it, or remove it first");
  } else {
    file_ = OwnedFile::fresh(partial, target);
  }
}

void ResultSaver::write(const ResultFile& result) { file_->write(result_to_text(result, to_json(summarise(result)))); }

void ResultSaver::begin(const ResultFile& result) {
  if (file_) return write(result);
  for (int n = 1;; ++n) {
    try {
      file_ = OwnedFile::fresh(n == 1 ? stem_ + ".json" : fmt::format("{}-{}.json", stem_, n));
      return write(result);
    } catch (const NameTaken&) {
      if (n == kNames) throw;
    }
  }
}

// The name stands for a file that this run did not write: neither is lost.
void ResultSaver::go_on_beside() {
  const fs::path before = file_->path();
  for (int n = 2;; ++n) {
    try {
      file_ = OwnedFile::fresh(beside(before, fmt::format("-{}", n)));
      break;
    } catch (const NameTaken&) {
      if (n == kNames) throw;
    }
  }
  replaced_.reset();
  tell("{}: stands for another file now; going on in {}\n", printable(before.string(), 4096),
       printable(file_->path().string(), 4096));
}

void ResultSaver::save(const ResultFile& result) noexcept {
  try {
    try {
      write(result);
    } catch (const NameTaken&) {
      go_on_beside();
      write(result);
    }
    trouble_.clear();
  } catch (const std::exception& error) {
    trouble_ = error.what();
    if (!told_) tell("{}: measuring goes on, and saving is tried again\n", trouble_);
    told_ = true;
  }
}

bool ResultSaver::finish(const ResultFile& result, bool whole) noexcept {
  save(result);
  if (trouble_.empty() && replaced_ && whole) {
    try {
      file_->rename_to(replaced_->path());
      replaced_.reset();
    } catch (const std::exception& error) {
      trouble_ = error.what();
      tell("layercost: {}; the result is in {}\n", trouble_, printable(path(), 4096));
      return false;
    }
  }
  if (!trouble_.empty()) tell("layercost: the result could not be saved: {}\n", trouble_);
  if (trouble_.empty() && replaced_)
    tell("{} is unchanged: the new result is not complete\n", printable(replaced_->path().string(), 4096));
  return trouble_.empty();
}

std::string ResultSaver::resume_words() const {
  std::string words = "--resume " + path();
  if (replaced_) words += " -o " + replaced_->path().string() + " --force";
  return words;
}

}  // namespace layercost

// What:    what the tests of the spec floor share: a folder that goes away, and the message of an error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels/core/error.h"

#ifndef LAYERCOST_SOURCE_DIR
#error "LAYERCOST_SOURCE_DIR must be the root of the source tree, as a string"
#endif

namespace layercost::testing {

inline const std::filesystem::path kConfigs = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs";

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "layercost-spec-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream out(path_ / name, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) throw std::runtime_error("cannot write " + name);
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

// The message of the BadInput that `action` throws; "" if it throws none. Any other exception passes through and fails
// the test.
template <class Action>
std::string bad_input(Action&& action) {
  try {
    action();
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("the test expects to find: " + std::string(from));
  return text.replace(at, from.size(), to);
}

}  // namespace layercost::testing

// What:    a file of weights, open for reading at any place. Read by pread and not mapped: of a mapped file that is cut
//          short meanwhile the next access is a signal, here it is an error; and what is read is packed anew anyway.
// Units:   bytes from the beginning of the file.
// Errors:  BadInput naming the file and `what` was to be read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace layercost {

class WeightFile {
 public:
  explicit WeightFile(const std::filesystem::path& path);  // a regular file; anything else is refused, nothing blocks
  ~WeightFile();
  WeightFile(WeightFile&&) noexcept;
  WeightFile& operator=(WeightFile&&) noexcept;

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  // Fills `out`; BadInput where the file ends before.
  void read(const std::string& what, std::uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  int fd_ = -1;
  std::uint64_t bytes_ = 0;
};

}  // namespace layercost

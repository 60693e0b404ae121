// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/weight_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/core/error.h"

namespace layercost {

WeightFile::WeightFile(const std::filesystem::path& path) : path_(path.string()) {
  const auto cannot = [&](const char* what) {
    return BadInput(path_, "", fmt::format("{}: {}", what, std::strerror(errno)));
  };
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    if (errno == ENOENT) throw BadInput(path_, "", "no such file");
    throw cannot("cannot be opened");
  }
  try {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) throw cannot("cannot be read");
    if (S_ISDIR(info.st_mode)) throw BadInput(path_, "", "is a folder; expected a file");
    if (!S_ISREG(info.st_mode)) throw BadInput(path_, "", "is a device, pipe or socket; expected a regular file");
    bytes_ = static_cast<std::uint64_t>(info.st_size);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

WeightFile::~WeightFile() {
  if (fd_ >= 0) ::close(fd_);
}

WeightFile::WeightFile(WeightFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_) {}

WeightFile& WeightFile::operator=(WeightFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void WeightFile::read(const std::string& what, std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > bytes_ || out.size() > bytes_ - offset)
    throw BadInput(path_, what, fmt::format("{} bytes at {} do not lie in a file of {}", out.size(), offset, bytes_));
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw BadInput(path_, what, fmt::format("cannot be read: {}", std::strerror(errno)));
    if (got == 0) throw BadInput(path_, what, "the file ends early; was it cut short meanwhile?");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/result/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/core/error.h"

namespace layercost {
namespace {

int system_open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }

// What the user can put right by naming another path; the rest is the machine's.
bool is_about_the_path(int error) {
  constexpr int kErrors[] = {EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS};
  return std::find(std::begin(kErrors), std::end(kErrors), error) != std::end(kErrors);
}

[[noreturn]] void fail(const std::string& path, const char* step, int error) {
  const std::string message = fmt::format("cannot be written: {}{}", std::strerror(error),
                                          error == ENOENT ? " (does the folder exist?)" : fmt::format(" ({})", step));
  if (is_about_the_path(error)) throw BadInput(path, "", message);
  throw std::runtime_error(fmt::format("{}: {}; what was there before is unchanged", printable(path, 4096), message));
}

void refuse_special(const std::filesystem::path& path) {
  const std::string name = path.string();
  if (name.find('\0') != std::string::npos)
    throw BadInput(name, "", "cannot be written: the name holds a NUL character");
  if (path.filename().empty() || path.filename() == "." || path.filename() == "..") {
    throw BadInput(name, "", "cannot be written: expected the name of a file");
  }
  struct stat info {};
  if (::lstat(name.c_str(), &info) != 0) {
    if (errno == ENOENT) return;
    fail(name, "stat", errno);
  }
  if (S_ISLNK(info.st_mode)) throw BadInput(name, "", "is a symbolic link; give the path it points to");
  if (S_ISDIR(info.st_mode)) throw BadInput(name, "", "is a folder; expected the name of a file");
  if (!S_ISREG(info.st_mode)) throw BadInput(name, "", "is a device, pipe or socket; expected a regular file");
}

// The temporary file: removed when it goes out of scope, unless it was renamed.
class Temporary {
 public:
  Temporary(const std::filesystem::path& path, const FileCalls& calls) : target_(path.string()), calls_(calls) {
    static std::atomic<unsigned> counter{0};
    const std::filesystem::path folder = path.parent_path();
    name_ = (folder / fmt::format(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), counter++)).string();
    do {
      fd_ = calls_.open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    } while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) fail(target_, "create", errno);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (fd_ >= 0) calls_.close(fd_);
    if (!renamed_) calls_.unlink(name_.c_str());
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = calls_.write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(target_, "write", errno);
      if (written == 0) fail(target_, "write", EIO);  // would loop for ever
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void publish() {
    while (calls_.fsync(fd_) != 0) {
      if (errno != EINTR) fail(target_, "fsync", errno);
    }
    // close reports what a network file system could not store; after EINTR the descriptor is gone on Linux.
    const int closed = calls_.close(fd_);
    fd_ = -1;
    if (closed != 0 && errno != EINTR) fail(target_, "close", errno);
    if (calls_.rename(name_.c_str(), target_.c_str()) != 0) fail(target_, "rename", errno);
    renamed_ = true;
  }

 private:
  std::string target_, name_;
  const FileCalls& calls_;
  int fd_ = -1;
  bool renamed_ = false;
};

}  // namespace

const FileCalls kSystemFileCalls = {system_open, ::write, ::fsync, ::close, ::rename, ::unlink};

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes, const FileCalls& calls) {
  refuse_special(path);
  Temporary temporary(path, calls);
  temporary.write(bytes);
  temporary.publish();
  // From here the new file is in place. The folder entry is made durable too; some file systems refuse to open or
  // sync a folder (EINVAL, EACCES on a folder that may be written but not listed), and then there is nothing to wait
  // for.
  const std::filesystem::path folder = path.parent_path().empty() ? "." : path.parent_path();
  const int fd = calls.open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return;
  int error = 0;
  while (calls.fsync(fd) != 0) {
    error = errno;
    if (error != EINTR) break;
    error = 0;
  }
  calls.close(fd);
  if (error == EIO || error == ENOSPC) {
    throw std::runtime_error(fmt::format("{}: written, but the folder could not be made durable: {}",
                                         printable(path.string(), 4096), std::strerror(error)));
  }
}

void refuse_unwritable(const std::filesystem::path& path, const FileCalls& calls) {
  refuse_special(path);
  const Temporary probe(path, calls);
}

}  // namespace layercost

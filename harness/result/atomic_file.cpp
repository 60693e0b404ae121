// SPDX-License-Identifier: Apache-2.0
#include "harness/result/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

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

// What stands at the name, if it is a regular file; nothing, if nothing does.
std::optional<struct stat> regular_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  if (name.find('\0') != std::string::npos)
    throw BadInput(name, "", "cannot be written: the name holds a NUL character");
  if (path.filename().empty() || path.filename() == "." || path.filename() == "..") {
    throw BadInput(name, "", "cannot be written: expected the name of a file");
  }
  struct stat info {};
  if (::lstat(name.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::nullopt;
    fail(name, "stat", errno);
  }
  if (S_ISLNK(info.st_mode)) throw BadInput(name, "", "is a symbolic link; give the path it points to");
  if (S_ISDIR(info.st_mode)) throw BadInput(name, "", "is a folder; expected the name of a file");
  if (!S_ISREG(info.st_mode)) throw BadInput(name, "", "is a device, pipe or socket; expected a regular file");
  return info;
}

std::optional<mode_t> permissions(const std::optional<struct stat>& info) {
  if (!info) return std::nullopt;
  return info->st_mode & mode_t{0777};
}

bool same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// The temporary file: removed when it goes out of scope, unless it got its name.
class Temporary {
 public:
  Temporary(const std::filesystem::path& path, std::optional<mode_t> mode, const FileCalls& calls)
      : target_(path.string()), calls_(calls) {
    static std::atomic<unsigned> counter{0};
    constexpr int kTries = 1000;  // names that processes of the same number may have left behind
    const std::filesystem::path folder = path.parent_path();
    for (int i = 0; i < kTries && fd_ < 0 && (i == 0 || errno == EEXIST || errno == EINTR); ++i) {
      name_ = (folder / fmt::format(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), counter++)).string();
      fd_ = calls_.open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode.value_or(0666));
    }
    if (fd_ < 0) fail(target_, "create", errno);
    if (mode) (void)::fchmod(fd_, *mode);  // what the umask took; a file system without permissions refuses it
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (fd_ >= 0) calls_.close(fd_);
    if (lock_ >= 0) ::close(lock_);
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

  // `lock_` keeps the file open, and so the lock that all its descriptors share.
  void lock() {
    lock_ = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (lock_ < 0) fail(target_, "lock", errno);
    (void)::flock(lock_, LOCK_EX | LOCK_NB);
  }
  int take_lock() { return std::exchange(lock_, -1); }

  void publish(bool must_be_new) {
    while (calls_.fsync(fd_) != 0) {
      if (errno != EINTR) fail(target_, "fsync", errno);
    }
    // close reports what a network file system could not store; after EINTR the descriptor is gone on Linux.
    const int closed = calls_.close(fd_);
    fd_ = -1;
    if (closed != 0 && errno != EINTR) fail(target_, "close", errno);
    if (must_be_new && link_to_new()) return;
    if (calls_.rename(name_.c_str(), target_.c_str()) != 0) fail(target_, "rename", errno);
    renamed_ = true;
  }

 private:
  // False where the file system has no links: then the name is taken by an empty file, to be renamed over.
  bool link_to_new() {
    if (calls_.link(name_.c_str(), target_.c_str()) == 0) return true;
    if (errno == EEXIST) taken();
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) fail(target_, "link", errno);
    const int fd = calls_.open(target_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) taken();
    if (fd < 0) fail(target_, "create", errno);
    calls_.close(fd);
    return false;
  }
  [[noreturn]] void taken() const { throw NameTaken(target_, "", "exists already"); }

  std::string target_, name_;
  const FileCalls& calls_;
  int fd_ = -1, lock_ = -1;
  bool renamed_ = false;
};

// The folder entry is made durable too; some file systems refuse to open or sync a folder (EINVAL, EACCES on a folder
// that may be written but not listed), and then there is nothing to wait for.
void sync_folder_of(const std::filesystem::path& path, const FileCalls& calls) {
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

}  // namespace

const FileCalls kSystemFileCalls = {system_open, ::write, ::fsync, ::close, ::rename, ::unlink, ::link};

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes, const FileCalls& calls) {
  Temporary temporary(path, permissions(regular_file(path)), calls);
  temporary.write(bytes);
  temporary.publish(false);
  sync_folder_of(path, calls);
}

void refuse_unwritable(const std::filesystem::path& path, const FileCalls& calls) {
  const Temporary probe(path, permissions(regular_file(path)), calls);
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code missing;
  return std::filesystem::equivalent(a, b, missing) && !missing;
}

OwnedFile OwnedFile::existing(const std::filesystem::path& path, const FileCalls& calls) {
  OwnedFile file(path, calls);
  const std::string name = path.string();
  for (;;) {
    const auto before = regular_file(path);
    if (!before) throw BadInput(name, "", "no such file");
    int fd = calls.open(name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0) fd = calls.open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0) fail(name, "open", errno);
    file.fd_ = fd;
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      throw BadInput(name, "", "another run is writing it");
    struct stat locked {
    }, now{};
    if (::fstat(fd, &locked) != 0) fail(name, "stat", errno);
    if (::lstat(name.c_str(), &now) == 0 && same_file(locked, now)) {
      file.mode_ = permissions(locked);
      return file;
    }
    calls.close(std::exchange(file.fd_, -1));  // it was replaced meanwhile
  }
}

OwnedFile OwnedFile::fresh(const std::filesystem::path& path, const std::filesystem::path& like,
                           const FileCalls& calls) {
  OwnedFile file(path, calls);
  if (regular_file(path)) throw NameTaken(path.string(), "", "exists already");
  refuse_unwritable(path, calls);
  if (!like.empty()) file.mode_ = permissions(regular_file(like));
  return file;
}

OwnedFile::OwnedFile(OwnedFile&& other) noexcept
    : path_(std::move(other.path_)), calls_(other.calls_), fd_(std::exchange(other.fd_, -1)), mode_(other.mode_) {}

OwnedFile& OwnedFile::operator=(OwnedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(calls_, other.calls_);
  std::swap(fd_, other.fd_);
  std::swap(mode_, other.mode_);
  return *this;
}

OwnedFile::~OwnedFile() {
  if (fd_ >= 0) calls_->close(fd_);
}

bool OwnedFile::is_ours(const struct stat& info) const {
  struct stat own {};
  return fd_ >= 0 && ::fstat(fd_, &own) == 0 && same_file(own, info);
}

void OwnedFile::write(std::string_view bytes) {
  const auto there = regular_file(path_);
  if (there && !is_ours(*there)) throw NameTaken(path_.string(), "", "stands for another file now");
  if (there) mode_ = permissions(there);
  Temporary temporary(path_, mode_, *calls_);
  temporary.write(bytes);
  temporary.lock();
  temporary.publish(!there);
  if (fd_ >= 0) calls_->close(fd_);
  fd_ = temporary.take_lock();
  sync_folder_of(path_, *calls_);
}

void OwnedFile::rename_to(const std::filesystem::path& target) {
  regular_file(target);  // refuses what is none
  if (calls_->rename(path_.c_str(), target.c_str()) != 0) fail(target.string(), "rename", errno);
  path_ = target;
  sync_folder_of(path_, *calls_);
}

}  // namespace layercost

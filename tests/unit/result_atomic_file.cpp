// Every step of a write made to fail, and the process made to die at every step: a reader finds the old or the new
// file.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "harness/result/atomic_file.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "layercost-atomic-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    target_ = folder_ / "result.json";
    std::ofstream(target_) << kOld;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(target_).rdbuf();
    return text.str();
  }
  std::size_t files() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {})); }

  static constexpr const char* kOld = "the old file";
  const std::string new_ = std::string(300'000, 'n');
  fs::path folder_, target_;
};

// Which call fails, how. One fault at a time; calls beyond it go through.
struct Fault {
  enum Call { open, write, fsync, close, rename, link, none } call = none;
  int nth = 0;    // counted from 0 over all calls of that kind
  int error = 0;  // errno; 0: die there
  bool die = false;
};
Fault fault;
int counts[7];
std::size_t write_at_most = SIZE_MAX;
int interrupted_writes = 0;

bool hit(Fault::Call call) {
  const int n = counts[call]++;
  if (fault.call != call || n != fault.nth) return false;
  if (fault.die) ::_exit(9);
  errno = fault.error;
  return true;
}

const FileCalls kFaulty = {
    [](const char* path, int flags, mode_t mode) {
      return hit(Fault::open) ? -1 : kSystemFileCalls.open(path, flags, mode);
    },
    [](int fd, const void* bytes, std::size_t size) -> ssize_t {
      if (interrupted_writes > 0) {
        --interrupted_writes;
        errno = EINTR;
        return -1;
      }
      const std::size_t part = std::min(size, write_at_most);
      if (fault.die && fault.call == Fault::write && counts[Fault::write] == fault.nth) {
        (void)!::write(fd, bytes, part / 2);  // dies in the middle of a write
      }
      if (hit(Fault::write)) return -1;
      return ::write(fd, bytes, part);
    },
    [](int fd) { return hit(Fault::fsync) ? -1 : ::fsync(fd); },
    [](int fd) {
      const bool failed = hit(Fault::close);
      const int result = ::close(fd);
      return failed ? (errno = fault.error, -1) : result;
    },
    [](const char* from, const char* to) { return hit(Fault::rename) ? -1 : ::rename(from, to); },
    ::unlink,
    [](const char* from, const char* to) { return hit(Fault::link) ? -1 : ::link(from, to); },
};

void set_fault(Fault f) {
  fault = f;
  std::fill(std::begin(counts), std::end(counts), 0);
}

TEST_F(AtomicFile, ReplacesAndCreates) {
  write_file_atomically(target_, new_);
  EXPECT_EQ(content(), new_);
  EXPECT_EQ(files(), 1u);
  fs::remove(target_);
  write_file_atomically(target_, "");
  EXPECT_EQ(content(), "");
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFile, WorksInTheCurrentFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file_atomically("result.json", new_);
  fs::current_path(before);
  EXPECT_EQ(content(), new_);
}

TEST_F(AtomicFile, ShortWritesAndInterruptionsAreContinued) {
  set_fault({});
  write_at_most = 1000;
  interrupted_writes = 3;
  write_file_atomically(target_, new_, kFaulty);
  write_at_most = SIZE_MAX;
  EXPECT_EQ(content(), new_);
  EXPECT_EQ(counts[Fault::write], 300);
  set_fault({Fault::fsync, 0, EINTR, false});
  write_file_atomically(target_, "x", kFaulty);
  EXPECT_EQ(content(), "x");
}

TEST_F(AtomicFile, EveryFailureLeavesTheOldFileAndNothingElse) {
  const Fault faults[] = {
      {Fault::open, 0, ENOSPC, false},  {Fault::write, 0, ENOSPC, false},  {Fault::write, 2, ENOSPC, false},
      {Fault::write, 1, EIO, false},    {Fault::write, 1, EDQUOT, false},  {Fault::fsync, 0, EIO, false},
      {Fault::close, 0, EDQUOT, false}, {Fault::rename, 0, ENOSPC, false}, {Fault::rename, 0, EIO, false},
  };
  write_at_most = 100'000;
  for (const Fault& f : faults) {
    set_fault(f);
    try {
      write_file_atomically(target_, new_, kFaulty);
      ADD_FAILURE() << "no error for call " << f.call;
    } catch (const BadInput&) {
      ADD_FAILURE() << "a full disk is not the user's bad input";
    } catch (const std::runtime_error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("result.json"), std::string::npos) << message;
      EXPECT_NE(message.find(std::strerror(f.error)), std::string::npos) << message;
    }
    EXPECT_EQ(content(), kOld) << f.call;
    EXPECT_EQ(files(), 1u) << f.call;
  }
  write_at_most = SIZE_MAX;
}

// TX-01: dies before each call in turn, in the middle of a write too.
TEST_F(AtomicFile, DyingAnywhereLeavesOneWholeFile) {
  int died = 0, finished = 0;
  for (const Fault::Call call : {Fault::open, Fault::write, Fault::fsync, Fault::close, Fault::rename}) {
    for (int nth = 0; nth < 4; ++nth) {
      std::ofstream(target_) << kOld;
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        write_at_most = 100'000;
        set_fault({call, nth, 0, true});
        write_file_atomically(target_, new_, kFaulty);
        ::_exit(0);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      const bool complete = WEXITSTATUS(status) == 0;
      complete ? ++finished : ++died;
      const std::string now = content();
      EXPECT_TRUE(now == kOld || now == new_) << "call " << call << ", " << nth << ": torn, " << now.size() << " bytes";
      if (complete) {
        EXPECT_EQ(now, new_);
      }
    }
  }
  EXPECT_GE(died, 9);  // open, 3 writes, fsync, close, rename; open and fsync of the folder
  EXPECT_GE(finished, 1);
}

TEST_F(AtomicFile, AFolderThatCannotBeSyncedIsNoError) {
  set_fault({Fault::open, 1, EACCES, false});
  write_file_atomically(target_, new_, kFaulty);
  EXPECT_EQ(content(), new_);
  set_fault({Fault::fsync, 1, EINVAL, false});
  write_file_atomically(target_, "a", kFaulty);
  EXPECT_EQ(content(), "a");
  set_fault({Fault::fsync, 1, EIO, false});  // the disk is failing: say so, the file is in place
  EXPECT_THROW(write_file_atomically(target_, "b", kFaulty), std::runtime_error);
  EXPECT_EQ(content(), "b");
}

void expect_bad_input(const fs::path& path, const std::string& part) {
  for (const bool probe : {false, true}) {
    try {
      probe ? refuse_unwritable(path) : write_file_atomically(path, "x");
      ADD_FAILURE() << path << " was written";
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

TEST_F(AtomicFile, RefusesWhatIsNoRegularFile) {
  const fs::path link = folder_ / "link", pipe = folder_ / "pipe", dangling = folder_ / "dangling";
  fs::create_symlink(target_, link);
  fs::create_symlink(folder_ / "nowhere", dangling);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_bad_input(link, "symbolic link");
  expect_bad_input(dangling, "symbolic link");
  expect_bad_input(pipe, "device, pipe or socket");
  expect_bad_input("/dev/null", "device, pipe or socket");
  expect_bad_input(folder_, "is a folder");
  expect_bad_input(folder_ / "", "name of a file");
  EXPECT_EQ(content(), kOld);
  EXPECT_FALSE(fs::exists(folder_ / "nowhere"));
}

// A run is to go on in it: that it could not be written either is not what went wrong.
TEST_F(AtomicFile, GoesOnInNoFileThatIsNotThere) {
  for (const fs::path& path : {folder_ / "none.json", folder_ / "no" / "such" / "r.json"}) {
    try {
      OwnedFile::existing(path);
      ADD_FAILURE() << path;
    } catch (const BadInput& error) {
      EXPECT_EQ(std::string(error.what()), path.string() + ": no such file");
    }
  }
}

TEST_F(AtomicFile, RefusesPathsThatCannotBeWritten) {
  expect_bad_input(folder_ / "no" / "such" / "r.json", "does the folder exist?");
  expect_bad_input(target_ / "r.json", "Not a directory");
  expect_bad_input(folder_ / std::string(300, 'x'), "File name too long");
  if (::geteuid() != 0) {  // root may write everywhere
    fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
    expect_bad_input(target_, "Permission denied");
    fs::permissions(folder_, fs::perms::owner_all);
  }
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFile, ProbeTouchesNothing) {
  refuse_unwritable(target_);
  refuse_unwritable(folder_ / "new.json");
  EXPECT_EQ(content(), kOld);
  EXPECT_EQ(files(), 1u);
}

// A process of the same number, killed earlier, left some behind; this process's counter may stand anywhere.
TEST_F(AtomicFile, LeftTemporariesDoNotBlock) {
  const int left = 300;
  for (int i = 0; i < left; ++i)
    std::ofstream(folder_ / (".result.json." + std::to_string(::getpid()) + "." + std::to_string(i) + ".tmp")) << "x";
  write_file_atomically(target_, new_);
  EXPECT_EQ(content(), new_);
  EXPECT_EQ(files(), 1u + left);
}

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & mode_t{07777} : 0;
}

TEST_F(AtomicFile, PermissionsAreKept) {
  for (const mode_t mode : {0600u, 0640u, 0666u}) {
    ASSERT_EQ(::chmod(target_.c_str(), mode), 0);
    write_file_atomically(target_, new_);
    EXPECT_EQ(mode_of(target_), mode);
    OwnedFile::existing(target_).write("x");
    EXPECT_EQ(mode_of(target_), mode);
    OwnedFile like = OwnedFile::fresh(folder_ / "b.json", target_);
    like.write("x");
    EXPECT_EQ(mode_of(like.path()), mode);
    fs::remove(like.path());
  }
  const mode_t before = ::umask(027);
  OwnedFile::fresh(folder_ / "new.json").write("x");
  ::umask(before);
  EXPECT_EQ(mode_of(folder_ / "new.json"), 0640u);
}

TEST_F(AtomicFile, ANewNameIsTakenOnce) {
  EXPECT_THROW(OwnedFile::fresh(target_), NameTaken);
  OwnedFile a = OwnedFile::fresh(folder_ / "a.json"), b = OwnedFile::fresh(folder_ / "a.json");
  a.write("a");
  EXPECT_THROW(b.write("b"), NameTaken);
  EXPECT_EQ(files(), 2u);
  a.write("again");
  fs::remove(a.path());
  a.write("once more");  // somebody removed it: it is made anew
  EXPECT_TRUE(fs::exists(a.path()));
  EXPECT_EQ(content(), kOld);
}

// Some file systems have no links.
TEST_F(AtomicFile, ANewNameIsTakenOnceWithoutLinks) {
  for (const int error : {EPERM, EOPNOTSUPP}) {
    set_fault({Fault::link, 0, error, false});
    const fs::path name = folder_ / (std::to_string(error) + ".json");
    OwnedFile a = OwnedFile::fresh(name, {}, kFaulty);
    a.write("a");
    EXPECT_EQ(counts[Fault::link], 1);
    EXPECT_EQ(fs::file_size(name), 1u);
    set_fault({Fault::link, 0, error, false});
    EXPECT_THROW(OwnedFile::fresh(name, {}, kFaulty), NameTaken);
  }
  EXPECT_EQ(files(), 3u);
}

// Another process is asked, because a lock is of an open file: whether it finds the name free.
bool free_for_others(const fs::path& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      OwnedFile::existing(path);
      ::_exit(0);
    } catch (const BadInput& error) {
      ::_exit(std::strstr(error.what(), "another run") != nullptr ? 1 : 2);
    }
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_LT(WEXITSTATUS(status), 2);
  return WEXITSTATUS(status) == 0;
}

TEST_F(AtomicFile, OneProcessAtATimeWritesAName) {
  EXPECT_TRUE(free_for_others(target_));
  {
    OwnedFile own = OwnedFile::existing(target_);
    EXPECT_FALSE(free_for_others(target_));
    for (int i = 0; i < 3; ++i) {
      own.write(new_);  // a new file each time
      EXPECT_FALSE(free_for_others(target_)) << i;
    }
    OwnedFile side = OwnedFile::fresh(folder_ / "side.json");
    side.write("side");
    EXPECT_FALSE(free_for_others(side.path()));
    side.rename_to(target_);
    EXPECT_EQ(content(), "side");
    EXPECT_FALSE(free_for_others(target_));
  }
  EXPECT_TRUE(free_for_others(target_));
  EXPECT_EQ(files(), 1u);
}

TEST_F(AtomicFile, AnotherFileOfTheNameIsLeftAlone) {
  OwnedFile own = OwnedFile::existing(target_);
  own.write("mine");
  fs::rename(target_, folder_ / "moved.json");
  std::ofstream(target_) << "somebody's";
  EXPECT_THROW(own.write("mine again"), NameTaken);
  EXPECT_EQ(content(), "somebody's");
  EXPECT_EQ(files(), 2u);
}

TEST_F(AtomicFile, AFailedWriteOfAnOwnedFileCanBeTriedAgain) {
  set_fault({Fault::write, 0, ENOSPC, false});
  OwnedFile own = OwnedFile::existing(target_, kFaulty);
  EXPECT_THROW(own.write(new_), std::runtime_error);
  EXPECT_EQ(content(), kOld);
  EXPECT_FALSE(free_for_others(target_));
  own.write(new_);
  EXPECT_EQ(content(), new_);
  EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace layercost

// What:    writes a file so that a reader, a crash or a full disk finds the old file or the new one, whole, never a
//          piece.
// How:     a temporary file in the same folder (".NAME.PID.COUNTER.tmp", created exclusively; a counter that an earlier
//          process of the same number left behind is passed over), all bytes, fsync, rename over the name, fsync of the
//          folder. A new name is made by link, which refuses one that exists. Short writes and EINTR are continued. On
//          any error the temporary file is removed and the earlier file is as it was. A kill in between leaves a
//          temporary file that nothing reads. The permissions of a file that is replaced are kept.
// Owned:   OwnedFile is a name that one process at a time writes, again and again. The file that stands there is locked
//          (flock); the next one is locked before it is renamed over it. A lock ends with its process, whatever ends
//          it. On file systems without flock nobody is refused.
// Refuses: a name that exists as anything but a regular file. Renaming over a symbolic link would replace the link and
//          leave its target stale; renaming over /dev/null, as root, would replace the device for the whole machine.
//          OwnedFile also refuses a name that another run writes, or that stands for another file since the last write.
// Units:   bytes.
// Errors:  BadInput if the path cannot be written (no such folder, no permission, not a regular file, name too long);
//          std::runtime_error if the machine fails (disk full, quota, input/output error), naming path and reason.
// Source:  Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

#include "kernels/core/error.h"

namespace layercost {

// The calls that can fail, so that tests can make them fail. Same meaning and errno as the system's.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* bytes, std::size_t size);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*unlink)(const char* path);
  int (*link)(const char* from, const char* to);
};
extern const FileCalls kSystemFileCalls;

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           const FileCalls& calls = kSystemFileCalls);

// Throws what write_file_atomically would throw for this path, without touching the file: asked before an hour of
// measuring, not after it.
void refuse_unwritable(const std::filesystem::path& path, const FileCalls& calls = kSystemFileCalls);

// A name that must be new stands for a file already; or, in a later write, for another file than the one that was last
// written.
class NameTaken : public BadInput {
 public:
  using BadInput::BadInput;
};

// Whether both names stand for one file that is there.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

class OwnedFile {
 public:
  // The file that stands there, kept as it is until the first write. BadInput if another run writes it.
  static OwnedFile existing(const std::filesystem::path&, const FileCalls& = kSystemFileCalls);
  // A name that stands for nothing yet; the first write makes it, or throws NameTaken. `like`: another file, whose
  // permissions it gets.
  static OwnedFile fresh(const std::filesystem::path&, const std::filesystem::path& like = {},
                         const FileCalls& = kSystemFileCalls);
  OwnedFile(OwnedFile&&) noexcept;
  OwnedFile& operator=(OwnedFile&&) noexcept;
  ~OwnedFile();

  const std::filesystem::path& path() const { return path_; }
  void write(std::string_view bytes);  // the whole file
  // Over the file that stands at `target`, which is replaced. The name of this one is gone then.
  void rename_to(const std::filesystem::path& target);

 private:
  OwnedFile(std::filesystem::path path, const FileCalls& calls) : path_(std::move(path)), calls_(&calls) {}
  bool is_ours(const struct stat&) const;

  std::filesystem::path path_;
  const FileCalls* calls_;
  int fd_ = -1;                 // of the file at path_, locked; -1 before the first write of a new one
  std::optional<mode_t> mode_;  // of the next file
};

}  // namespace layercost

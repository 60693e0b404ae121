// What:    writes a file so that a reader, a crash or a full disk finds the old file or the new one, whole, never a
//          piece.
// How:     a temporary file in the same folder (".NAME.PID.COUNTER.tmp", created exclusively), all bytes, fsync, rename
//          over the name, fsync of the folder. Short writes and EINTR are continued. On any error the temporary file is
//          removed and the earlier file is as it was. A kill in between leaves a temporary file that nothing reads.
// Refuses: a name that exists as anything but a regular file. Renaming over a symbolic link would replace the link and
//          leave its target stale; renaming over /dev/null, as root, would replace the device for the whole machine.
// Units:   bytes.
// Errors:  BadInput if the path cannot be written (no such folder, no permission, not a regular file, name too long);
//          std::runtime_error if the machine fails (disk full, quota, input/output error), naming path and reason.
// Source:  Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace layercost {

// The calls that can fail, so that tests can make them fail. Same meaning and errno as the system's.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* bytes, std::size_t size);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*unlink)(const char* path);
};
extern const FileCalls kSystemFileCalls;

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                           const FileCalls& calls = kSystemFileCalls);

// Throws what write_file_atomically would throw for this path, without touching the file: asked before an hour of
// measuring, not after it.
void refuse_unwritable(const std::filesystem::path& path, const FileCalls& calls = kSystemFileCalls);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/libraries/open_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace layercost {

void* open_library(const char* variable, const std::string& name, const std::string& pypi_folder) {
  std::vector<std::string> files;
  if (const char* file = std::getenv(variable)) files.push_back(file);
  files.push_back(name);
  files.push_back("/usr/local/cuda/lib64/" + name);
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  // Beside the program, and in the private environments of this or the two folders above (build/<preset>).
  for (const auto& root : {program, program.parent_path(), program.parent_path().parent_path()}) {
    files.push_back(root / pypi_folder / name);
    for (const auto& entry : std::filesystem::directory_iterator(root / ".venv/lib", ignored))
      files.push_back(entry.path() / "site-packages" / pypi_folder / name);
  }
  for (const std::string& file : files)
    if (void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  return nullptr;
}

}  // namespace layercost

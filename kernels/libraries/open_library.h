// What:  NVIDIA's libraries are opened at run time: they are larger than everything else together, and a build that
//        travels does not hold them.
// Where: the file that the environment variable names, the search path of the loader, CUDA's usual folder, and the
//        folder of the PyPI package, beside this program and in .venv, in this order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace layercost {

// E.g. ("LAYERCOST_CUBLASLT", "libcublasLt.so.13", "nvidia/cu13/lib"). Null if it is nowhere.
void* open_library(const char* variable, const std::string& name, const std::string& pypi_folder);

}  // namespace layercost

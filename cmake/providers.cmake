# Libraries that must be there, and libraries whose variants say "built without ..." when they are not. Debian package
# names are those of scripts/setup.
# SPDX-License-Identifier: Apache-2.0
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(benchmark REQUIRED)
find_package(hwy QUIET)
if(NOT TARGET hwy::hwy)  # Debian's libhwy-dev ships pkg-config files only
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
  add_library(hwy::hwy ALIAS PkgConfig::HWY)
endif()

option(LAYERCOST_ONEDNN "Use oneDNN where it is found" ON)
if(LAYERCOST_ONEDNN)
  find_package(dnnl QUIET)
endif()

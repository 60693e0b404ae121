# Libraries that must be there, and libraries whose variants say "built without ..." when they are not. Debian package
# names are those of scripts/setup.
# SPDX-License-Identifier: Apache-2.0
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(benchmark REQUIRED)
find_package(hwy QUIET)
find_package(PkgConfig QUIET)
if(NOT TARGET hwy::hwy)  # Debian's libhwy-dev ships pkg-config files only
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
  add_library(hwy::hwy ALIAS PkgConfig::HWY)
endif()

# Under sanitizers the Highway files for every instruction set would take a third of the whole build (preset cpu-asan).
option(LAYERCOST_FEW_SIMD_TARGETS "Of x86's vectors only those that run here: AVX-512, AVX2 without it" OFF)
set(few_simd_definition)
if(LAYERCOST_FEW_SIMD_TARGETS AND EXISTS /proc/cpuinfo)
  file(STRINGS /proc/cpuinfo cpu_flags REGEX "^flags" LIMIT_COUNT 1)
  if(cpu_flags MATCHES " avx512f ")
    set(few_simd_definition LAYERCOST_LEFT_OUT_TARGETS=HWY_SSE4|HWY_AVX2)
  elseif(cpu_flags MATCHES " avx2 ")
    set(few_simd_definition LAYERCOST_LEFT_OUT_TARGETS=HWY_SSE4|HWY_AVX3)
  endif()
endif()

option(LAYERCOST_ONEDNN "Use oneDNN where it is found" ON)
if(LAYERCOST_ONEDNN)
  find_package(dnnl QUIET)
endif()

option(LAYERCOST_HWLOC "Use hwloc where it is found; without it the caches are read from sysfs" ON)
if(LAYERCOST_HWLOC AND PKG_CONFIG_FOUND)
  pkg_check_modules(HWLOC QUIET IMPORTED_TARGET hwloc>=2.5)  # 2.5: looking does not move threads
endif()

option(LAYERCOST_PORTABLE "Make a folder that runs on other machines (cmake/portable.cmake)" OFF)

# CUDA: AUTO takes it where a new enough toolkit is found, ON insists, OFF does not look.
set(LAYERCOST_CUDA AUTO CACHE STRING "Build the CUDA half: AUTO, ON or OFF")
set_property(CACHE LAYERCOST_CUDA PROPERTY STRINGS AUTO ON OFF)
# f: code for the whole family; a: with the instructions that only this one has (wgmma, TMA multicast).
set(LAYERCOST_CUDA_ARCHITECTURES "80;86;89;90a;100f;120f" CACHE STRING "Compute capabilities to compile for")
set(LAYERCOST_CUDA_FOUND OFF)
if(NOT LAYERCOST_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  # CMake 3.25 does not know the newest names; the real list is passed below.
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  # Beyond PATH: the usual folder, and where scripts/setup puts the toolkit from PyPI.
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    file(GLOB from_pypi ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu13/bin)
    find_program(LAYERCOST_NVCC nvcc PATHS /usr/local/cuda/bin ${from_pypi})
    if(LAYERCOST_NVCC)
      set(CMAKE_CUDA_COMPILER ${LAYERCOST_NVCC})
    endif()
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    if(CUDAToolkit_VERSION VERSION_LESS 12.9)
      set(problem "the CUDA toolkit ${CUDAToolkit_VERSION} is too old: 12.9 or newer is needed")
    else()
      set(LAYERCOST_CUDA_FOUND ON)
    endif()
  else()
    set(problem "no CUDA compiler (nvcc) found")
  endif()
  if(NOT LAYERCOST_CUDA_FOUND)
    if(LAYERCOST_CUDA STREQUAL "ON")
      message(FATAL_ERROR "LAYERCOST_CUDA=ON, but ${problem}")
    endif()
    message(STATUS "Building without CUDA: ${problem}")
  endif()
endif()
if(LAYERCOST_CUDA_FOUND)
  set(gencode)
  if("90" IN_LIST LAYERCOST_CUDA_ARCHITECTURES)  # variants that need wgmma would be chosen, and trap
    message(FATAL_ERROR "LAYERCOST_CUDA_ARCHITECTURES: 90 lacks wgmma; name 90a")
  endif()
  foreach(architecture IN LISTS LAYERCOST_CUDA_ARCHITECTURES)
    list(APPEND gencode "SHELL:-gencode arch=compute_${architecture},code=sm_${architecture}")
  endforeach()
  set(LAYERCOST_CUDA_OPTIONS ${gencode} --threads=2 -Xcompiler=-Werror=switch)
  if(LAYERCOST_PORTABLE)  # six architectures in a folder of 50 MB
    list(APPEND LAYERCOST_CUDA_OPTIONS --compress-mode=size)
  endif()
endif()

# cuDNN's attention, beside ours: only where CMake is told the folder of the front end's headers, such as include/ in
# the PyPI package nvidia-cudnn-frontend. Of cuDNN itself it needs cudnn.h, from the toolkit's folder or the PyPI
# package nvidia-cudnn-cu13; the library is opened at run time.
set(LAYERCOST_CUDNN_FRONTEND "" CACHE PATH "Folder of cudnn_frontend.h: adds cuDNN's attention to the CUDA half")
if(LAYERCOST_CUDNN_FRONTEND)
  if(NOT LAYERCOST_CUDA_FOUND)
    message(FATAL_ERROR "LAYERCOST_CUDNN_FRONTEND is set, but this build is without CUDA")
  endif()
  if(NOT EXISTS ${LAYERCOST_CUDNN_FRONTEND}/cudnn_frontend.h)
    message(FATAL_ERROR "LAYERCOST_CUDNN_FRONTEND: there is no cudnn_frontend.h in ${LAYERCOST_CUDNN_FRONTEND}")
  endif()
  file(GLOB from_pypi ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cudnn/include)
  find_path(LAYERCOST_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${from_pypi})
  if(NOT LAYERCOST_CUDNN_INCLUDE)
    message(FATAL_ERROR "LAYERCOST_CUDNN_FRONTEND is set, but cudnn.h was not found: name its folder in "
                        "LAYERCOST_CUDNN_INCLUDE")
  endif()
endif()

# CUTLASS (headers): a grouped product for Hopper beside ours; a minute to compile, so only where it is asked for.
set(LAYERCOST_CUTLASS OFF CACHE STRING "OFF, ON (PyPI's nvidia-cutlass 4.2 in .venv) or CUTLASS's include folder")
if(LAYERCOST_CUDA_FOUND AND LAYERCOST_CUTLASS)
  file(GLOB from_pypi ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/cutlass_library/source/include)
  find_path(LAYERCOST_CUTLASS_INCLUDE cutlass/cutlass.h REQUIRED
            PATHS ${LAYERCOST_CUTLASS} ${from_pypi} NO_DEFAULT_PATH)
endif()

# From THE op list to sources. Every op is a folder with <op>.h, <op>.cpp and variants.inc; every line of
# variants.inc, LAYERCOST_VARIANT(name), needs its file <op>_<name>.cpp (and may have .cu beside it); every .cpp in the
# folder needs its line, every .cu its .cpp. What does not match stops the configuration.
# out_sources: host code. out_device: device code (.cu), for nvcc or, in the tests, for the executor.
# SPDX-License-Identifier: Apache-2.0
function(layercost_collect_ops out_sources out_device)
  set(sources)
  set(device)
  set(inc "// Made by cmake/ops.cmake from the op list in kernels/CMakeLists.txt.\n")
  foreach(op IN LISTS ARGN)
    set(dir ${CMAKE_CURRENT_SOURCE_DIR}/${op})
    foreach(file ${op}.h ${op}.cpp variants.inc)
      if(NOT EXISTS ${dir}/${file})
        message(FATAL_ERROR "kernels/${op}/${file} is missing: every op in the list needs it")
      endif()
    endforeach()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${dir}/variants.inc)
    file(STRINGS ${dir}/variants.inc lines REGEX "^LAYERCOST_VARIANT\\([a-z0-9_]+\\)")
    set(expected ${dir}/${op}.cpp)
    set(declarations)
    set(addresses)
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^LAYERCOST_VARIANT\\(([a-z0-9_]+)\\).*" "\\1" variant "${line}")
      if(NOT EXISTS ${dir}/${op}_${variant}.cpp)
        message(FATAL_ERROR "kernels/${op}/variants.inc names '${variant}' but ${op}_${variant}.cpp is missing")
      endif()
      list(APPEND expected ${dir}/${op}_${variant}.cpp)
      string(APPEND declarations "extern const Variant ${op}_${variant};\n")
      string(APPEND addresses " &${op}_${variant},")
    endforeach()
    file(GLOB found CONFIGURE_DEPENDS ${dir}/*.cpp)
    foreach(file IN LISTS found)
      if(NOT file IN_LIST expected)
        message(FATAL_ERROR "${file} has no line in kernels/${op}/variants.inc")
      endif()
    endforeach()
    file(GLOB found CONFIGURE_DEPENDS ${dir}/*.cu)
    foreach(file IN LISTS found)
      string(REGEX REPLACE "\\.cu$" ".cpp" host ${file})
      if(NOT host IN_LIST expected)
        message(FATAL_ERROR "${file} has no ${host} beside it")
      endif()
    endforeach()
    list(APPEND device ${found})
    list(APPEND sources ${expected})
    if(NOT addresses)
      message(FATAL_ERROR "kernels/${op}/variants.inc names no variant")
    endif()
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/${op}_variants.h @ONLY CONTENT
"// Made by cmake/ops.cmake from kernels/${op}/variants.inc.
#pragma once
#include \"kernels/contract/op.h\"
namespace layercost {
${declarations}inline std::span<const Variant* const> ${op}_variants() {
  static constexpr const Variant* list[] = {${addresses}};
  return list;
}
}  // namespace layercost
")
    string(APPEND inc "LAYERCOST_OP(${op})\n")
  endforeach()
  file(GLOB children RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/variants.inc)
  foreach(child IN LISTS children)
    get_filename_component(op ${child} DIRECTORY)
    if(NOT op IN_LIST ARGN)
      message(FATAL_ERROR "kernels/${op} looks like an op but is not in the list of kernels/CMakeLists.txt")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/ops.inc CONTENT "${inc}" @ONLY)
  set(${out_sources} ${sources} PARENT_SCOPE)
  set(${out_device} ${device} PARENT_SCOPE)
endfunction()

# From THE op list to sources. Every op is a folder with <op>.h, <op>.cpp and variants.txt, a plain list; # begins a
# comment. Its lines:
#   highway_rows                        a variant: needs its file <op>_highway_rows.cpp, and may have .cu beside it
#   moe_chain.cpp                       a private source: of several variants of the op
#   cudnn_attention.cpp if VARIABLE     one of the CUDA half, where CMake's VARIABLE is set
# Every .cpp in the folder needs its line, every .cu its line or its .cpp. What does not match stops the configuration.
# out_sources: host code. out_device: device code (.cu), for nvcc or, in the tests, for the executor. out_optional: the
# sources with an `if` that holds.
# SPDX-License-Identifier: Apache-2.0
function(layercost_collect_ops out_sources out_device out_optional)
  set(sources)
  set(device)
  set(optional)
  set(inc "// Made by cmake/ops.cmake from the op list in kernels/CMakeLists.txt.\n")
  foreach(op IN LISTS ARGN)
    set(dir ${CMAKE_CURRENT_SOURCE_DIR}/${op})
    foreach(file ${op}.h ${op}.cpp variants.txt)
      if(NOT EXISTS ${dir}/${file})
        message(FATAL_ERROR "kernels/${op}/${file} is missing: every op in the list needs it")
      endif()
    endforeach()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${dir}/variants.txt)
    file(STRINGS ${dir}/variants.txt lines REGEX "^[^#]")
    set(expected ${dir}/${op}.cpp)
    set(private)
    set(declarations)
    set(addresses)
    foreach(line IN LISTS lines)
      if(line MATCHES "^[a-z0-9_]+$")
        if(NOT EXISTS ${dir}/${op}_${line}.cpp)
          message(FATAL_ERROR "kernels/${op}/variants.txt names '${line}' but ${op}_${line}.cpp is missing")
        endif()
        list(APPEND expected ${dir}/${op}_${line}.cpp)
        string(APPEND declarations "extern const Variant ${op}_${line};\n")
        string(APPEND addresses " &${op}_${line},")
      elseif(line MATCHES "^([a-z0-9_]+\\.(cpp|cu))( if ([A-Z_]+))?$")
        set(file ${dir}/${CMAKE_MATCH_1})
        if(NOT EXISTS ${file})
          message(FATAL_ERROR "kernels/${op}/variants.txt names '${CMAKE_MATCH_1}', which is missing")
        endif()
        list(APPEND private ${file})
        if(NOT CMAKE_MATCH_4)
          list(APPEND sources ${file})
        elseif(${CMAKE_MATCH_4})
          list(APPEND optional ${file})
        endif()
      else()
        message(FATAL_ERROR "kernels/${op}/variants.txt: '${line}' is neither a variant nor a source")
      endif()
    endforeach()
    file(GLOB found CONFIGURE_DEPENDS ${dir}/*.cpp)
    foreach(file IN LISTS found)
      if(NOT file IN_LIST expected AND NOT file IN_LIST private)
        message(FATAL_ERROR "${file} has no line in kernels/${op}/variants.txt")
      endif()
    endforeach()
    file(GLOB found CONFIGURE_DEPENDS ${dir}/*.cu)
    if(private)
      list(REMOVE_ITEM found ${private})
    endif()
    foreach(file IN LISTS found)
      string(REGEX REPLACE "\\.cu$" ".cpp" host ${file})
      if(NOT host IN_LIST expected)
        message(FATAL_ERROR "${file} has no ${host} beside it")
      endif()
    endforeach()
    list(APPEND device ${found})
    list(APPEND sources ${expected})
    if(NOT addresses)
      message(FATAL_ERROR "kernels/${op}/variants.txt names no variant")
    endif()
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/${op}_variants.h @ONLY CONTENT
"// Made by cmake/ops.cmake from kernels/${op}/variants.txt.
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
  file(GLOB children RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/variants.txt)
  foreach(child IN LISTS children)
    get_filename_component(op ${child} DIRECTORY)
    if(NOT op IN_LIST ARGN)
      message(FATAL_ERROR "kernels/${op} looks like an op but is not in the list of kernels/CMakeLists.txt")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/generated/ops.inc CONTENT "${inc}" @ONLY)
  set(${out_sources} ${sources} PARENT_SCOPE)
  set(${out_device} ${device} PARENT_SCOPE)
  set(${out_optional} ${optional} PARENT_SCOPE)
endfunction()

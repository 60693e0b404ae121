# The closed list of what our compilers are asked to say; every target of ours takes it from here.
#   LAYERCOST_WARNINGS         host code (C++20)
#   LAYERCOST_DEVICE_WARNINGS  device code under the host compiler, for the executor of the tests
# -Werror=switch: a switch over an enumeration names every value, and a new value is an error wherever it is forgotten.
# So such a switch has no `default`.
# SPDX-License-Identifier: Apache-2.0
set(LAYERCOST_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror=switch)
# No -Wshadow and -Wconversion: what nvcc is not asked for either. Pragmas of nvcc; a remark on how GCC passes vectors.
set(LAYERCOST_DEVICE_WARNINGS -Wall -Wextra -Wno-unknown-pragmas -Wno-psabi -Werror=switch)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps in std::string + char that are not there (PR 105329).
  list(APPEND LAYERCOST_WARNINGS -Wno-restrict)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    # GCC 13 and later take a function with a temporary among its arguments for one that returns it.
    list(APPEND LAYERCOST_WARNINGS -Wno-dangling-reference)
  endif()
endif()

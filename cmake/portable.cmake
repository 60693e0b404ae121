# The folder that travels: program, kernel tests, the libraries they need beyond those of every Linux system, configs,
# goldens, and gpu-check. It runs on x86-64 Linux with glibc 2.35 and libstdc++ 12 or newer (Ubuntu 22.04, Debian 12);
# tests/portable reads the symbol versions. Built by `cmake --workflow --preset cuda-portable`, on Debian 12.
# Not in it: glibc, libstdc++, libgcc (Debian's libstdc++ asks for glibc 2.36), cuBLASLt (half a gigabyte; opened at
# run time), oneDNN (drags OpenCL in).
# SPDX-License-Identifier: Apache-2.0
if(NOT TARGET conformance_tests)
  message(FATAL_ERROR "the folder that travels holds the kernel tests: it needs BUILD_TESTING=ON")
endif()
include(${CMAKE_CURRENT_LIST_DIR}/libraries.cmake)
set(folder ${PROJECT_BINARY_DIR}/layercost-portable)
set(parts COMPONENT portable)
set(CMAKE_INSTALL_MESSAGE NEVER)
set_target_properties(layercost conformance_tests PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
install(TARGETS layercost conformance_tests RUNTIME_DEPENDENCY_SET libraries RUNTIME DESTINATION . ${parts})
layercost_install_libraries(lib ${parts})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs DESTINATION . ${parts})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/tests/golden DESTINATION . ${parts}
  FILES_MATCHING PATTERN "*.json" PATTERN "*.safetensors")
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/gpu-check ${PROJECT_SOURCE_DIR}/scripts/race DESTINATION . ${parts})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts/peers DESTINATION . ${parts} FILES_MATCHING PATTERN "*.py")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION . ${parts})
install(FILES ${PROJECT_SOURCE_DIR}/cmake/portable-readme.txt DESTINATION . RENAME README.txt ${parts})

add_custom_target(portable
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}
  COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${folder} --component portable --strip
  COMMENT "Assembling ${folder}" VERBATIM)
add_dependencies(portable layercost conformance_tests)

find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
add_test(NAME portable.folder
         COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/portable/check_folder.py ${folder})
set_tests_properties(portable.folder PROPERTIES LABELS portable TIMEOUT 900 ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)

# Libraries that travel with the program: those of the set `libraries` without glibc, libstdc++ and libgcc, which every
# system has in its own version; beside them Debian's licence texts, where this is Debian.
# layercost_install_libraries(FOLDER options of install...)
# SPDX-License-Identifier: Apache-2.0
function(layercost_install_libraries folder)
  install(RUNTIME_DEPENDENCY_SET libraries
    PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread|stdc\\+\\+|gcc_s)\\.so" "^ld-linux"
    LIBRARY DESTINATION ${folder} ${ARGN})
  install(CODE "set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}\")" ${ARGN})
  install(CODE [[
    file(GLOB libraries "${folder}/*.so*")
    foreach(library IN LISTS libraries)
      get_filename_component(name ${library} NAME)
      execute_process(COMMAND dpkg -S "*/${name}" OUTPUT_VARIABLE owner ERROR_QUIET RESULT_VARIABLE failed)
      if(NOT failed AND owner MATCHES "^([^:,]+)" AND EXISTS "/usr/share/doc/${CMAKE_MATCH_1}/copyright")
        configure_file("/usr/share/doc/${CMAKE_MATCH_1}/copyright" "${folder}/${CMAKE_MATCH_1}.copyright" COPYONLY)
      endif()
    endforeach()
  ]] ${ARGN})
endfunction()

# What `cmake --install`, `cpack` and the wheel (pyproject.toml) put where: the program, its configs, the manual page,
# and what shells complete. The program finds the configs beside itself (../share/layercost): the folder may be moved.
# The component `libraries` holds those that the program needs beyond every Linux system's own, in lib/layercost: for
# the tarball and the wheel. A Debian package names them instead, and `cmake --install` leaves them out.
# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
include(${CMAKE_CURRENT_LIST_DIR}/libraries.cmake)
set(data ${CMAKE_INSTALL_DATADIR})
set(own_libraries lib/layercost)
set(program RUNTIME_DEPENDENCY_SET libraries RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
if(LAYERCOST_PROGRAM)
  install(IMPORTED_RUNTIME_ARTIFACTS layercost ${program})
else()
  # In the build tree as well, so that it may be packaged from there as it is.
  set_target_properties(layercost PROPERTIES INSTALL_RPATH "$ORIGIN/../${own_libraries}"
                                             BUILD_RPATH "$ORIGIN/../${own_libraries}")
  # DT_RPATH, not DT_RUNPATH: it also serves what a library needs in turn (oneDNN asks for OpenCL).
  target_link_options(layercost PRIVATE LINKER:--disable-new-dtags)
  install(TARGETS layercost ${program})
endif()
layercost_install_libraries(${own_libraries} COMPONENT libraries EXCLUDE_FROM_ALL)
install(PROGRAMS scripts/figures DESTINATION ${data}/layercost COMPONENT program)  # brings the viewer of pages
install(DIRECTORY configs DESTINATION ${data}/layercost COMPONENT program PATTERN "*.md" EXCLUDE)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/copyright CONTENT
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: layercost

Files: *
Copyright: 2026 the layercost authors
License: Apache-2.0
 On Debian systems its text is in /usr/share/common-licenses/Apache-2.0; here it is in LICENSE beside this file.
")
install(FILES LICENSE ${PROJECT_BINARY_DIR}/copyright DESTINATION ${data}/doc/layercost COMPONENT program)
# Made by the program that was installed, so that they are its own.
install(CODE "
  set(root \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
  foreach(made man=${data}/man/man1/layercost.1
               \"completion bash=${data}/bash-completion/completions/layercost\"
               \"completion zsh=${data}/zsh/site-functions/_layercost\"
               \"completion fish=${data}/fish/vendor_completions.d/layercost.fish\")
    string(REGEX MATCH \"^([^=]+)=(.+)$\" all \"\${made}\")
    set(words \${CMAKE_MATCH_1})
    set(file \${CMAKE_MATCH_2})
    separate_arguments(words)
    get_filename_component(folder \"\${root}/\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \${folder})
    execute_process(COMMAND \"\${root}/${CMAKE_INSTALL_BINDIR}/layercost\" \${words}
                    OUTPUT_FILE \"\${root}/\${file}\" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()" COMPONENT program)

set(CPACK_GENERATOR TGZ DEB)
string(TOLOWER ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR} system)
set(CPACK_PACKAGE_FILE_NAME layercost-${PROJECT_VERSION}-${system})
set(CPACK_PACKAGE_CONTACT "the maintainers of layercost")
set(CPACK_PACKAGE_DESCRIPTION
"Runs real transformer layers, dense and mixture-of-experts, and tells what a token costs here: time and money, how
close that is to what the machine can do, and how much of the saving that sparsity promises really arrives.
No weights are downloaded, no server is started.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_LIST_DIR}/tarball.cmake)
include(CPack)

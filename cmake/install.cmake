# What `cmake --install` and `cpack` put where: the program, its configs, the manual page, and what shells complete. The
# program finds the configs beside itself (../share/layercost), so that the folder may be moved.
# SPDX-License-Identifier: Apache-2.0
include(GNUInstallDirs)
set(data ${CMAKE_INSTALL_DATADIR})
install(TARGETS layercost RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs DESTINATION ${data}/layercost PATTERN "*.md" EXCLUDE)
install(FILES LICENSE DESTINATION ${data}/doc/layercost)
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
  endforeach()")

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_CONTACT "the maintainers of layercost")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_STRIP_FILES ON)
include(CPack)

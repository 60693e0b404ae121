# Read by cpack once for each kind of package: a tarball brings its libraries along.
# SPDX-License-Identifier: Apache-2.0
if(CPACK_GENERATOR STREQUAL "TGZ")
  list(GET CPACK_INSTALL_CMAKE_PROJECTS 0 build)
  list(APPEND CPACK_INSTALL_CMAKE_PROJECTS ${build} layercost libraries /)
endif()

# SPDX-License-Identifier: BSL-1.0
# `cpack -G DEB` in the build directory: libmultiprocessing-dev, the headers and how to find them.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # what is installed need not be built

set(CPACK_PACKAGE_NAME libmultiprocessing-dev)
set(CPACK_PACKAGE_VENDOR "the authors of ${PROJECT_NAME}")
set(CPACK_PACKAGE_CONTACT "the authors of ${PROJECT_NAME} <multiprocessing@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES OFF)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
# Debian 12 has Boost 1.74 by this name, and 1.81 by the other.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libboost-dev (>= 1.81) | libboost1.81-dev, libcereal-dev")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libssl-dev")
include(CPack)

install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/libmultiprocessing-dev"
  RENAME copyright)

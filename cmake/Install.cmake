# SPDX-License-Identifier: BSL-1.0
# What is installed, for find_package and for pkg-config; all of it for every processor.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/multiprocessing")
install(TARGETS multiprocessing EXPORT multiprocessingTargets
        FILE_SET HEADERS FILE_SET layers FILE_SET bodies)
install(EXPORT multiprocessingTargets NAMESPACE multiprocessing:: DESTINATION "${package_dir}")
# A file of its own: only who has OpenSSL can read it.
if(TARGET multiprocessing_authentication)
  install(TARGETS multiprocessing_authentication EXPORT multiprocessingAuthenticationTargets)
  install(EXPORT multiprocessingAuthenticationTargets NAMESPACE multiprocessing::
          DESTINATION "${package_dir}")
endif()
# The same, of MPI.
if(TARGET multiprocessing_mpi)
  install(TARGETS multiprocessing_mpi EXPORT multiprocessingMpiTargets
          FILE_SET HEADERS FILE_SET layers)
  install(EXPORT multiprocessingMpiTargets NAMESPACE multiprocessing::
          DESTINATION "${package_dir}")
endif()
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/multiprocessingConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/multiprocessingConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/multiprocessingConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/multiprocessingConfig.cmake"
              "${PROJECT_BINARY_DIR}/multiprocessingConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/Compiled.cmake" "${CMAKE_CURRENT_LIST_DIR}/compiled.cpp"
        DESTINATION "${package_dir}")

# pkg-config's files find the headers from where they lie, so that the whole may be moved.
set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR
  BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir}" OUTPUT_VARIABLE include_from_pkgconfig)
set(pkgconfig_files multiprocessing)
if(TARGET multiprocessing_authentication)
  list(APPEND pkgconfig_files multiprocessing-authentication)
endif()
foreach(name IN LISTS pkgconfig_files)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${pkgconfig_dir}")
endforeach()

if(PROJECT_IS_TOP_LEVEL)
  include("${CMAKE_CURRENT_LIST_DIR}/Package.cmake")
endif()

# SPDX-License-Identifier: BSL-1.0
# Runs packaging/vcpkg/portfile.cmake with stand-ins for vcpkg's functions, which do in short what
# vcpkg's documentation says of them; and looks at what it has installed.
file(REMOVE_RECURSE "${WORK_DIR}")
set(CURRENT_PACKAGES_DIR "${WORK_DIR}/package")
set(PORT_NAME multiprocessing)

function(run)
  execute_process(COMMAND ${ARGN} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()
function(vcpkg_check_features)
  cmake_parse_arguments(own "" "OUT_FEATURE_OPTIONS" "FEATURES;INVERTED_FEATURES" ${ARGN})
  list(GET own_INVERTED_FEATURES 1 variable)
  set(${own_OUT_FEATURE_OPTIONS} "-D${variable}=ON" PARENT_SCOPE)  # no feature was asked for
endfunction()
function(vcpkg_cmake_configure)
  cmake_parse_arguments(own "" "SOURCE_PATH" "OPTIONS" ${ARGN})
  run("${CMAKE_COMMAND}" -S "${own_SOURCE_PATH}" -B "${WORK_DIR}/build" -G "${GENERATOR}"
      "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}"
      ${own_OPTIONS})
endfunction()
function(vcpkg_cmake_install)
  run("${CMAKE_COMMAND}" --install "${WORK_DIR}/build")
endfunction()
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(own "" "PACKAGE_NAME;CONFIG_PATH" "" ${ARGN})
  file(RENAME "${CURRENT_PACKAGES_DIR}/${own_CONFIG_PATH}"
       "${CURRENT_PACKAGES_DIR}/share/${own_PACKAGE_NAME}")
endfunction()
function(vcpkg_fixup_pkgconfig)
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(own "" "" "FILE_LIST" ${ARGN})
  file(COPY_FILE "${own_FILE_LIST}" "${CURRENT_PACKAGES_DIR}/share/${PORT_NAME}/copyright")
endfunction()

include("${PORT}/portfile.cmake")

foreach(file include/multiprocessing.hpp share/multiprocessing/multiprocessingConfig.cmake
        share/multiprocessing/Compiled.cmake share/multiprocessing/compiled.cpp
        include/multiprocessing/errors.ipp share/multiprocessing/copyright
        share/pkgconfig/multiprocessing.pc)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/${file}")
    message(FATAL_ERROR "the port did not install ${file}")
  endif()
endforeach()
if(EXISTS "${CURRENT_PACKAGES_DIR}/share/pkgconfig/multiprocessing-authentication.pc")
  message(FATAL_ERROR "the port installs a feature that was not asked for")
endif()

file(READ "${PORT}/vcpkg.json" manifest)
string(JSON version GET "${manifest}" version-semver)  # an error unless it is JSON
if(NOT version STREQUAL VERSION)
  message(FATAL_ERROR "vcpkg.json says ${version}, CMakeLists.txt ${VERSION}")
endif()

# SPDX-License-Identifier: BSL-1.0
# An overlay port of the checkout that it lies in:
#   vcpkg install multiprocessing --overlay-ports=<checkout>/packaging/vcpkg
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

set(VCPKG_BUILD_TYPE release)  # headers only
vcpkg_check_features(OUT_FEATURE_OPTIONS no_authentication
  INVERTED_FEATURES authentication CMAKE_DISABLE_FIND_PACKAGE_OpenSSL)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DMULTIPROCESSING_BUILD_TESTS=OFF
    -DMULTIPROCESSING_BUILD_EXAMPLES=OFF
    -DMULTIPROCESSING_BUILD_BENCH=OFF
    ${no_authentication})
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME multiprocessing CONFIG_PATH share/cmake/multiprocessing)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/doc" "${CURRENT_PACKAGES_DIR}/lib")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")

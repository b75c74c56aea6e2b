# SPDX-License-Identifier: BSL-1.0
# multiprocessing::authentication: the library, and what an authkey needs, where there is OpenSSL.
# Without it everything works but authkeys, and they are refused at run time.
find_package(OpenSSL QUIET COMPONENTS Crypto)
if(NOT TARGET OpenSSL::Crypto)
  message(STATUS "multiprocessing: no OpenSSL found, so no authkeys")
  return()
endif()
message(STATUS "multiprocessing: OpenSSL ${OPENSSL_VERSION}")
add_library(multiprocessing_authentication INTERFACE)
add_library(multiprocessing::authentication ALIAS multiprocessing_authentication)
set_target_properties(multiprocessing_authentication PROPERTIES EXPORT_NAME authentication)
target_compile_definitions(multiprocessing_authentication INTERFACE MULTIPROCESSING_WITH_OPENSSL)
target_link_libraries(multiprocessing_authentication INTERFACE multiprocessing OpenSSL::Crypto)

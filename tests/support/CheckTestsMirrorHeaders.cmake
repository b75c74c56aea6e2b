# SPDX-License-Identifier: BSL-1.0
# multiprocessing/os/fd.hpp is tested by os/fd_test.cpp, which includes it first.
file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}/multiprocessing"
     "${INCLUDE_DIR}/multiprocessing/*.hpp")
set(untested "")
foreach(header IN LISTS headers)
  if(header MATCHES "^base/(cache_line|compiler|errors)\\.hpp$")
    continue()  # a constant; by snippets that must not compile; through the public errors.hpp
  endif()
  string(REGEX REPLACE "\\.hpp$" "_test.cpp" test "${header}")
  if(NOT EXISTS "${TESTS_DIR}/${test}")
    string(APPEND untested "\n  ${header}: no ${test}")
    continue()
  endif()
  file(STRINGS "${TESTS_DIR}/${test}" includes REGEX "^#include" LIMIT_COUNT 1)
  if(NOT includes STREQUAL "#include <multiprocessing/${header}>")
    string(APPEND untested "\n  ${test} includes ${includes} first")
  endif()
endforeach()
if(untested)
  message(FATAL_ERROR "headers without a test of their name:${untested}")
endif()

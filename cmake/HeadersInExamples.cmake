# SPDX-License-Identifier: BSL-1.0
# Public headers that an example compiles alone, because they are made the first that it includes:
# first_header_of_<example>, and all of them in headers_in_examples. That each compiles alone is a
# test, and one that takes minutes; what is compiled anyway is not compiled once more for it. (With
# the library compiled once: that no body is read too early is for the test of that name.)
set(headers_in_examples "")
file(GLOB examples CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/[0-9][0-9]_*.cpp")
# These are not built everywhere.
list(FILTER examples EXCLUDE REGEX "/[0-9][0-9]_(event_loop[^/]*|spdlog)\\.cpp$")
foreach(example IN LISTS examples)
  get_filename_component(name "${example}" NAME_WE)
  file(STRINGS "${example}" lines REGEX "^#include <multiprocessing/[^/>]+>")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^#include <(.*)>.*" "\\1" header "${line}")
    set(path "${PROJECT_SOURCE_DIR}/include/${header}")
    if(path IN_LIST headers AND NOT path IN_LIST headers_in_examples)
      set(first_header_of_${name} "${header}")
      list(APPEND headers_in_examples "${path}")
      break()
    endif()
  endforeach()
endforeach()

# SPDX-License-Identifier: BSL-1.0
# multiprocessing.hpp includes every flat header, and nothing else; but not what needs more than the
# library does.
file(GLOB flat RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/multiprocessing/*.hpp")
list(REMOVE_ITEM flat multiprocessing/asio.hpp multiprocessing/mpi.hpp)
file(STRINGS "${INCLUDE_DIR}/multiprocessing.hpp" lines REGEX "^#include")
set(included "")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^#include <([^>]+)>.*" "\\1" name "${line}")
  list(APPEND included "${name}")
endforeach()
list(SORT flat)
list(SORT included)
if(NOT flat STREQUAL included)
  message(FATAL_ERROR "flat headers: ${flat}\nincluded:     ${included}")
endif()

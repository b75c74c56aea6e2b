# SPDX-License-Identifier: BSL-1.0
# Fails when two tests have one name: Catch2 2 then discovers none, silently, and 3 does not mind
# where their tags differ, and runs both by it.
#   cmake -D "LIST_TESTS=<program and its arguments>" -P CheckTestNames.cmake
execute_process(COMMAND ${LIST_TESTS} OUTPUT_VARIABLE names ERROR_VARIABLE errors)
string(REGEX REPLACE "[][;]" "_" names "${names}")
string(REGEX MATCHALL "[^\n]+" names "${names}")
list(SORT names)
set(last "")
set(twice "")
foreach(name IN LISTS names)
  if(name STREQUAL last)
    string(APPEND twice "\n  ${name}")
  endif()
  set(last "${name}")
endforeach()
list(LENGTH names count)
if(twice OR count LESS 2)
  message(FATAL_ERROR "${count} tests, and two of one name, or none:${twice}\n${errors}")
endif()
message("${count} tests, no two of one name")

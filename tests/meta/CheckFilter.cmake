# SPDX-License-Identifier: BSL-1.0
# What the filter makes of a header is what the file beside it says, line for line.
execute_process(COMMAND awk -f "${FILTER}" "${HEADER}" OUTPUT_VARIABLE shown
  COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\\.hpp$" ".expected" expected "${HEADER}")
file(READ "${expected}" wanted)
if(NOT shown STREQUAL wanted)
  message(FATAL_ERROR "the filter makes of ${HEADER}:\n${shown}\n\nexpected:\n${wanted}")
endif()

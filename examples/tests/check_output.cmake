# SPDX-License-Identifier: BSL-1.0
# Runs PROGRAM, a command, which must exit with 0 and print what EXPECTED, a file, says. In that,
# what changes from run to run is written
#   <number>   digits, also hexadecimal or with a point
#   <any>      whatever stands in a line
#   <more>     whatever follows, lines too
# and a line that ends with \ goes on in the next one.
# On stderr it says nothing, or what a file EXPECTED_STDERR says, the lines in the order of their
# characters, because those of several processes come in any.
execute_process(COMMAND ${PROGRAM}
  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)

# Quoted everywhere: a text with brackets and semicolons is no list.
function(compare what text expected_file)
  set(expected "")
  if(EXISTS "${expected_file}")
    file(READ "${expected_file}" expected)
    string(REPLACE "\\\n" "" expected "${expected}")
  endif()
  string(REGEX REPLACE "([][.*+?^$()|\\\\])" "\\\\\\1" pattern "${expected}")
  string(REPLACE "<number>" "[0-9a-fx.]+" pattern "${pattern}")
  string(REPLACE "<any>" "[^\n]*" pattern "${pattern}")
  string(REPLACE "<more>" ".*" pattern "${pattern}")
  if(NOT "${text}" MATCHES "^${pattern}$")
    message(FATAL_ERROR "on ${what} it has said\n${text}\nand not\n${expected}")
  endif()
endfunction()

if(NOT code STREQUAL "0")
  message(FATAL_ERROR "it has ended with ${code}, and said\n${out}\n${err}")
endif()
compare(stdout "${out}" "${EXPECTED}")
if(EXPECTED_STDERR)
  string(MD5 name "${PROGRAM}")
  file(WRITE "${name}.unsorted" "${err}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C sort "${name}.unsorted"
    OUTPUT_VARIABLE err COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE "${name}.unsorted")
endif()
compare(stderr "${err}" "${EXPECTED_STDERR}")

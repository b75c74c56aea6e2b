# SPDX-License-Identifier: BSL-1.0
# PROGRAM must exit with 2 on ARGUMENTS, and say why in one line on stderr.
execute_process(COMMAND "${PROGRAM}" ${ARGUMENTS}
  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
message("exit ${code}: ${err}")
if(NOT code EQUAL 2)
  message(FATAL_ERROR "exit code ${code}, not 2")
endif()
if(NOT err MATCHES "^prime_sieve: [^\n]+\n$" OR NOT out STREQUAL "")
  message(FATAL_ERROR "not one line on stderr")
endif()

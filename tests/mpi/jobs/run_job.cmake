# SPDX-License-Identifier: BSL-1.0
# Runs a job. It must end with an exit code that matches CODE, within SECONDS, print what matches
# OUT and ERR, and leave no process of PROGRAM behind.
#   cmake -D "COMMAND=mpirun;-n;3;program;argument" -D PROGRAM=program -D CODE=0 ...
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err
  TIMEOUT 60)
message("exit ${code}\n${out}\n${err}")
if(NOT code MATCHES "^(${CODE})$")
  message(FATAL_ERROR "exit code ${code}, not ${CODE}")
endif()
foreach(stream out err)
  string(TOUPPER ${stream} expected)
  if(DEFINED ${expected} AND NOT ${stream} MATCHES "${${expected}}")
    message(FATAL_ERROR "no '${${expected}}' on std${stream}")
  endif()
endforeach()
# Who was killed is gone a moment later.
foreach(look RANGE 100)
  execute_process(COMMAND sh -c "ls -l /proc/[0-9]*/exe 2>/dev/null | grep -F ' ${PROGRAM}'"
    OUTPUT_VARIABLE left)
  if(left STREQUAL "")
    return()
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" -E sleep 0.1)
endforeach()
message(FATAL_ERROR "left behind:\n${left}")

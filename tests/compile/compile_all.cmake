# SPDX-License-Identifier: BSL-1.0
# Compiles all snippets at once with what is wrong in them, and keeps what the compiler says.
execute_process(COMMAND "${COMPILER}" ${FLAGS} -DWRONG "${SNIPPETS}"
  RESULT_VARIABLE wrong OUTPUT_QUIET ERROR_FILE "${SAID}")
if(wrong EQUAL 0)
  message(FATAL_ERROR "compiles with WRONG")
endif()

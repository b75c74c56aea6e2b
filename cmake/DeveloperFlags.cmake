# SPDX-License-Identifier: BSL-1.0
# Warnings for our own targets only; users of the library never see them.
add_library(multiprocessing_warnings INTERFACE)
target_compile_options(multiprocessing_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
option(MULTIPROCESSING_WERROR "Treat warnings as errors" OFF)
if(MULTIPROCESSING_WERROR)
  target_compile_options(multiprocessing_warnings INTERFACE -Werror)
endif()

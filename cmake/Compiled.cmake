# SPDX-License-Identifier: BSL-1.0
# multiprocessing::compiled: the same library, of which all that is no template of the user's is
# compiled once, and not in each translation unit. Made where it is used, by the compiler and flags
# that are used there, so that the package holds no binaries; costs nothing where it is not used.
# Read in the project, and by its package.
if(NOT TARGET multiprocessing::compiled)
  add_library(multiprocessing_compiled STATIC EXCLUDE_FROM_ALL
    "${CMAKE_CURRENT_LIST_DIR}/compiled.cpp")
  add_library(multiprocessing::compiled ALIAS multiprocessing_compiled)
  target_link_libraries(multiprocessing_compiled PUBLIC multiprocessing::multiprocessing)
  target_compile_definitions(multiprocessing_compiled PUBLIC MULTIPROCESSING_SEPARATE_COMPILATION)
  set_target_properties(multiprocessing_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)
endif()

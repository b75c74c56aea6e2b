# SPDX-License-Identifier: BSL-1.0
# Builds a user's program, and runs it.
#   WAY       find_package, add_subdirectory, FetchContent; pkg_config: without CMake
#   PREFIX    where the library is installed, for find_package and pkg_config
#   SOURCE_DIR  of the library, for the others
#   COMPILER, STANDARD, FLAGS, ALL, COMPILED  how the program is compiled
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed with ${code}: ${ARGN}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
set(project "${CMAKE_CURRENT_LIST_DIR}/project")
if(WAY STREQUAL "pkg_config")
  file(MAKE_DIRECTORY "${WORK_DIR}")
  set(ENV{PKG_CONFIG_PATH} "${PREFIX}/share/pkgconfig")
  execute_process(COMMAND "${PKG_CONFIG}" --cflags --libs multiprocessing OUTPUT_VARIABLE flags
    COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  list(FIND flags "-I${PREFIX}/share/pkgconfig/../../include" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "pkg-config does not say where the headers are: ${flags}")
  endif()
  run("${COMPILER}" "-std=c++${STANDARD}" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
      "${project}/main.cpp" "${project}/other.cpp" ${flags} -o "${WORK_DIR}/consumer")
  run("${WORK_DIR}/consumer")
  return()
endif()
if(WAY STREQUAL "FetchContent")  # from an archive, which is what is fetched elsewhere
  file(MAKE_DIRECTORY "${WORK_DIR}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -E tar czf "${WORK_DIR}/multiprocessing.tar.gz"
      CMakeLists.txt LICENSE cmake include
    WORKING_DIRECTORY "${SOURCE_DIR}" COMMAND_ERROR_IS_FATAL ANY)
  set(SOURCE_DIR "${WORK_DIR}/multiprocessing.tar.gz")
endif()
run("${CMAKE_COMMAND}" -S "${project}" -B "${WORK_DIR}/build" -G "${GENERATOR}" "-DWAY=${WAY}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_FLAGS=${FLAGS}"
    "-DCMAKE_CXX_STANDARD=${STANDARD}" "-DCMAKE_CXX_EXTENSIONS=OFF"
    "-DALL=${ALL}" "-DCOMPILED=${COMPILED}"
    "-DCMAKE_PREFIX_PATH=${PREFIX}" "-DMULTIPROCESSING_SOURCE_DIR=${SOURCE_DIR}")
run("${CMAKE_COMMAND}" --build "${WORK_DIR}/build")
run("${WORK_DIR}/build/consumer")

# SPDX-License-Identifier: BSL-1.0
# Makes the .deb, looks at what it says of itself, and unpacks it.
file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(COMMAND "${CPACK}" -G DEB --config "${BUILD_DIR}/CPackConfig.cmake"
    -B "${WORK_DIR}" WORKING_DIRECTORY "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
file(GLOB debs "${WORK_DIR}/*.deb")
list(LENGTH debs count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "not one package but: ${debs}")
endif()
execute_process(COMMAND "${DPKG_DEB}" -f "${debs}" OUTPUT_VARIABLE control
  COMMAND_ERROR_IS_FATAL ANY)
foreach(line "Package: libmultiprocessing-dev" "Architecture: all"
        "Depends: libboost-dev \\(>= 1\\.81\\) \\| libboost1\\.81-dev, libcereal-dev")
  if(NOT control MATCHES "(^|\n)${line}\n")
    message(FATAL_ERROR "no \"${line}\" in:\n${control}")
  endif()
endforeach()
execute_process(COMMAND "${DPKG_DEB}" -x "${debs}" "${WORK_DIR}/root" COMMAND_ERROR_IS_FATAL ANY)

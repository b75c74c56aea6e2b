# SPDX-License-Identifier: BSL-1.0
# multiprocessing::mpi: the library, and the executor on many machines, where MPI is installed.
if(NOT MULTIPROCESSING_MPI)
  message(STATUS "multiprocessing: without MPI, as asked")
  return()
endif()
set(MPI_CXX_SKIP_MPICXX ON)  # its C++ interface of old
find_package(MPI QUIET COMPONENTS CXX)
if(NOT MPI_CXX_FOUND)
  message(STATUS "multiprocessing: no MPI found, so no multiprocessing::mpi")
  return()
endif()
message(STATUS "multiprocessing: MPI ${MPI_CXX_VERSION}")
add_library(multiprocessing_mpi INTERFACE)
add_library(multiprocessing::mpi ALIAS multiprocessing_mpi)
file(GLOB mpi_layer CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_SOURCE_DIR}/include/multiprocessing/mpi/*.hpp")
target_sources(multiprocessing_mpi INTERFACE
  FILE_SET HEADERS BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include"
  FILES "${CMAKE_CURRENT_SOURCE_DIR}/include/multiprocessing/mpi.hpp"
  FILE_SET layers TYPE HEADERS
  BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include" FILES ${mpi_layer})
set_target_properties(multiprocessing_mpi PROPERTIES
  EXPORT_NAME mpi VERIFY_INTERFACE_HEADER_SETS ON)
if(NOT MULTIPROCESSING_VERIFY_LAYERS)
  set_target_properties(multiprocessing_mpi PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
endif()
target_link_libraries(multiprocessing_mpi INTERFACE multiprocessing MPI::MPI_CXX)

# SPDX-License-Identifier: BSL-1.0
# Boost >= 1.81 (headers) and cereal: the installed ones, or fetched where there are none.
include(FetchContent)

find_package(Boost 1.81 CONFIG QUIET)
if(Boost_FOUND)
  message(STATUS "multiprocessing: Boost ${Boost_VERSION} in ${Boost_DIR}")
else()
  message(STATUS "multiprocessing: no Boost >= 1.81 found, fetching 1.84.0")
  set(BOOST_INCLUDE_LIBRARIES interprocess pfr)
  FetchContent_Declare(Boost
    URL https://github.com/boostorg/boost/releases/download/boost-1.84.0/boost-1.84.0.tar.xz
    URL_HASH SHA256=2e64e5d79a738d0fa6fb546c6e5c2bd28f88d268a2a080546f74e5ff98f29d0e)
  FetchContent_MakeAvailable(Boost)
  if(NOT TARGET Boost::headers)
    add_library(multiprocessing_boost INTERFACE)
    target_link_libraries(multiprocessing_boost INTERFACE Boost::interprocess Boost::pfr)
    add_library(Boost::headers ALIAS multiprocessing_boost)
  endif()
endif()

find_package(cereal CONFIG QUIET)
if(cereal_FOUND)
  message(STATUS "multiprocessing: cereal in ${cereal_DIR}")
else()
  message(STATUS "multiprocessing: no cereal found, fetching 1.3.2")
  set(JUST_INSTALL_CEREAL ON CACHE BOOL "" FORCE)
  FetchContent_Declare(cereal
    GIT_REPOSITORY https://github.com/USCiLab/cereal.git GIT_TAG v1.3.2 GIT_SHALLOW ON)
  FetchContent_MakeAvailable(cereal)
endif()

# What is fetched is not installed with us, so the installed package would not find it.
if(NOT Boost_FOUND OR NOT cereal_FOUND)
  set(MULTIPROCESSING_INSTALL OFF)
endif()

// SPDX-License-Identifier: BSL-1.0
// Runs tests on all ranks of an MPI job at once, without an executor.
#include "mpi_world.hpp"

#include <unistd.h>

#include <csignal>

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

namespace {
multiprocessing::mpi::World* the_world = nullptr;
}  // namespace

namespace support {
multiprocessing::mpi::World& world() { return *the_world; }
}  // namespace support

int main(int argc, char** argv) {
  ::alarm(200);  // whose signal ends the job
  multiprocessing::mpi::World world(0);
  the_world = &world;
  return Catch::Session().run(argc, argv);
}

// SPDX-License-Identifier: BSL-1.0
// Runs tests on the first rank of an MPI job, while the others serve.
//   MULTIPROCESSING_TEST_SPAWN=2    has so many more ranks started by MPI
#include <execinfo.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <multiprocessing/mpi.hpp>

#include "helpers.hpp"

namespace {

constexpr unsigned kWatchdogSeconds = 280;  // of all tests: before CTest loses its patience

void bite(int) {
  std::fprintf(stderr, "\nWATCHDOG: the tests hang\n");
  void* frames[64];
  ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), STDERR_FILENO);
  ::_exit(1);  // without MPI's end, so it ends the others
}

}  // namespace

int main(int argc, char** argv) {
  multiprocessing::mpi::RunOptions options;
  options.spawn = static_cast<int>(support::setting("MULTIPROCESSING_TEST_SPAWN", 0));
  return multiprocessing::mpi::run(options, argc, argv, [&] {
    std::signal(SIGALRM, bite);
    ::alarm(kWatchdogSeconds);
    return Catch::Session().run(argc, argv);
  });
}

// SPDX-License-Identifier: BSL-1.0
// What it costs to run a function in a process of its own, from start to join.
//
//   raw_fork_wait/R    fork, _exit in the child, waitpid; nothing else: the floor
//   process_fork/R     mp::Process, start() and join()
//
// R: memory of the parent that is resident, in MiB; a fork pays for every page of it.
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

#include <benchmark/benchmark.h>
#include <multiprocessing/process.hpp>

namespace {

/// Memory that is touched, so that the kernel has to copy its page tables.
std::vector<char> resident(benchmark::State const& state) {
  return std::vector<char>(static_cast<std::size_t>(state.range(0)) << 20, 'x');
}

void raw_fork_wait(benchmark::State& state) {
  auto const ballast = resident(state);
  for (auto _ : state) {
    pid_t const pid = ::fork();
    if (pid == 0) ::_exit(0);
    ::waitpid(pid, nullptr, 0);
  }
}

void process_fork(benchmark::State& state) {
  auto const ballast = resident(state);
  for (auto _ : state) {
    multiprocessing::Process process([] {});
    process.start();
    process.join();
  }
}

BENCHMARK(raw_fork_wait)->Arg(0)->Arg(256)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(process_fork)->Arg(0)->Arg(256)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();

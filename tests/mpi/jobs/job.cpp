// SPDX-License-Identifier: BSL-1.0
// A job that ends in the way that its argument names; see run_job.cmake.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/launch/identity.hpp>
#include <multiprocessing/mpi.hpp>
#include <multiprocessing/process.hpp>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

#ifdef JOB_OTHER_BUILD
int square(int x) { return x * x + 0 * ::getpid(); }
#else
int square(int x) { return x * x; }
#endif

/// Nanoseconds of processors that all threads of these have used.
long used_time(std::vector<int> const& pids) {
  long sum = 0;
  for (int const pid : pids) {
    for (auto const& thread :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
      std::ifstream file(thread.path() / "schedstat");
      long nanoseconds = 0;
      file >> nanoseconds;
      sum += nanoseconds;
    }
  }
  return sum;
}

int run(std::string const& how) {
  if (how == "logic") throw std::logic_error("main has had enough");
  if (how == "exit") mp::exit(7);
  if (how == "code") return 5;
  mp::mpi::PoolExecutor executor(1);
  if (executor.submit(square, 9).result() != 81) return 1;
  if (how == "well") {
    std::cout << "all is well" << std::endl;
  } else if (how == "throw") {
    for (int i = 0; i < 1000; ++i)
      executor.submit([] {
        for (;;) ::pause();
      });
    throw std::runtime_error("main gives up with work pending");
  } else if (how == "left") {  // an executor that nobody ends
    auto* const never_ended = new mp::mpi::PoolExecutor(1);
    auto* const future = new auto(never_ended->submit([] {
      for (;;) ::pause();
    }));
    static_cast<void>(future);
    std::cout << "left behind" << std::endl;
  } else if (how == "late") {  // a future outlives run()
    static auto future = executor.submit(square, 3);
    std::atexit([] { std::cout << "late " << future.result() << std::endl; });
  } else if (how == "killed") {  // the first rank is
    executor.submit([] {
      for (;;) ::pause();
    });
    std::cout << "about to die" << std::endl;
    std::raise(SIGKILL);
  } else if (how == "rank_killed") {
    executor
        .submit([] {
          ::kill(mp::launch::identity().parent_pid, SIGKILL);
          for (;;) ::pause();
        })
        .result();
  } else if (how == "rank_stopped") {
    auto const rank = mp::mpi::Engine::current().load()->ranks()[1].pid;
    ::kill(rank, SIGSTOP);
    executor.kill_workers();
    std::cout << "rank 1 is stopped" << std::endl;
  } else if (how == "rest") {
    auto const& ranks = mp::mpi::Engine::current().load()->ranks();
    std::vector<int> pids;
    for (auto const& rank : ranks) pids.push_back(rank.pid);
    // Of time itself: who has had nothing to do for longer looks more seldom. Nothing is ordered.
    std::this_thread::sleep_for(1500ms);
    auto const begin = std::chrono::steady_clock::now();
    long const before = used_time(pids);
    std::this_thread::sleep_for(2s);
    std::chrono::duration<double, std::nano> const passed =
        std::chrono::steady_clock::now() - begin;
    double const share = static_cast<double>(used_time(pids) - before) / passed.count() /
                         static_cast<double>(pids.size());
    std::cout << "a rank at rest takes " << share * 100 << " % of a processor" << std::endl;
    return share < 0.1 ? 0 : 1;
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return mp::mpi::run(argc, argv, [=] { return run(argc > 1 ? argv[1] : ""); });
}

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/fork_gate.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <mutex>
#include <thread>

#include <multiprocessing/os/module.hpp>
#include <multiprocessing/os/process.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace fork_gate_test {

namespace os = multiprocessing::os;

TEST_CASE("a child forked while other threads look at modules can look, too", "[fork_gate]") {
  std::atomic<bool> over{false};
  std::jthread looker([&] {
    while (!over) static_cast<void>(os::ModuleTable::now());
  });
  for (int i = 0; i < 300; ++i) {
    pid_t const pid = os::fork_process();
    if (pid == 0) {
      static_cast<void>(os::ModuleTable::now());  // hangs where the dynamic linker is locked
      ::_exit(0);
    }
    int status = 1;
    ::waitpid(pid, &status, 0);
    REQUIRE(status == 0);
  }
  over = true;
}

TEST_CASE("a child of a process with threads can have threads that keep each other out",
          "[fork_gate]") {
  std::atomic<bool> over{false};
  std::jthread other([&] { over.wait(false); });
  pid_t const pid = os::fork_process();  // the child has a locked copy of the gate
  if (pid == 0) {
    constexpr int kPasses = 1'000;
    int volatile inside = 0;
    std::barrier begin(2);
    auto const pass = [&] {
      begin.arrive_and_wait();
      for (int i = 0; i < kPasses; ++i) {
        os::ForkGateGuard const gate;
        int const seen = inside;
        std::this_thread::yield();
        inside = seen + 1;
      }
    };
    { os::ForkGateGuard const alone; }
    std::thread first(pass);
    pass();
    first.join();
    ::_exit(inside == 2 * kPasses ? 0 : 1);
  }
  int status = 1;
  ::waitpid(pid, &status, 0);
  CHECK(status == 0);
  over = true;
  over.notify_all();
}

}  // namespace fork_gate_test

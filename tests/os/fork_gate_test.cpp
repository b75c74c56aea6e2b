// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/fork_gate.hpp>

#include <unistd.h>

#include <atomic>
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

}  // namespace fork_gate_test

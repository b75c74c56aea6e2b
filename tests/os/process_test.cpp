// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/process.hpp>

#include <cstdio>
#include <string>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace os = multiprocessing::os;

TEST_CASE("exit in a child runs its own handlers and stops before the parent's", "[process]") {
  support::Pipe pipe;
  support::RawChild parent([&] {
    static support::Pipe* out;
    out = &pipe;
    std::atexit([] { out->tell('p'); });
    support::RawChild child([&]() -> int {
      os::intercept_exit([](int code, void*) {
        out->tell('i');
        os::exit_now(code + 1);
      });
      std::atexit([] { out->tell('c'); });
      std::exit(3);
    });
    os::exit_now(WEXITSTATUS(child.wait()));
  });
  CHECK(WEXITSTATUS(parent.wait()) == 4);
  CHECK(pipe.drain() == "ci");
}

TEST_CASE("a bound child dies with its parent", "[process]") {
  support::Pipe alive;  // its last writer is the bound child
  support::RawChild parent([&] {
    pid_t const self = ::getpid();
    if (::fork() == 0) {
      os::die_with_parent(self);
      alive.tell();
      for (;;) ::pause();
    }
    for (;;) ::pause();
  });
  CHECK(alive.hear() == '.');
  parent.kill();
  parent.wait();
  CHECK(alive.drain().empty());  // returns at the child's end
}

TEST_CASE("a child whose parent has died before the binding dies of it", "[process]") {
  support::RawChild child([] {
    os::die_with_parent(1 << 22);  // not the parent
    return 0;
  });
  int const status = child.wait();
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
}

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/process.hpp>

#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <system_error>
#include <thread>

#include <multiprocessing/base/scope_guard.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace process_test {

namespace os = multiprocessing::os;

namespace {
thread_local pid_t heard_of = 0;
void hear_of(pid_t child) noexcept { heard_of = child; }
}  // namespace

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

TEST_CASE("a fork tells the listener of the child in the thread that forked", "[process]") {
  auto* const before = os::fork_listener().exchange(hear_of);
  multiprocessing::base::ScopeGuard const restore([&] { os::fork_listener() = before; });
  heard_of = 0;
  pid_t const pid = os::fork_process();
  if (pid == 0) os::exit_now(heard_of == 0 ? 0 : 1);  // it is the parent who is told
  int status = -1;
  ::waitpid(pid, &status, 0);
  CHECK(status == 0);
  CHECK(heard_of == pid);
  pid_t heard_elsewhere = 0;
  pid_t forked_elsewhere = -1;
  std::thread([&] {
    forked_elsewhere = os::fork_process();
    if (forked_elsewhere == 0) os::exit_now(0);
    heard_elsewhere = heard_of;
    ::waitpid(forked_elsewhere, nullptr, 0);
  }).join();
  CHECK(heard_elsewhere == forked_elsewhere);
  CHECK(heard_of == pid);
}

TEST_CASE("a fork that nobody listens to is a fork", "[process]") {
  auto* const before = os::fork_listener().exchange(nullptr);
  multiprocessing::base::ScopeGuard const restore([&] { os::fork_listener() = before; });
  pid_t const pid = os::fork_process();
  if (pid == 0) os::exit_now(7);
  int status = -1;
  ::waitpid(pid, &status, 0);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a fork that fails tells the listener and throws", "[process]") {
  support::RawChild child([] {
    rlimit const none{0, 0};  // holds for root under another name only
    if (::getuid() == 0 && ::setuid(65534) != 0) return 77;
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return 77;
    os::fork_listener() = hear_of;
    try {
      if (os::fork_process() == 0) os::exit_now(0);
    } catch (std::system_error const& error) {
      return heard_of == -1 && error.code() == std::errc::resource_unavailable_try_again ? 0 : 1;
    }
    return 2;
  });
  int const code = WEXITSTATUS(child.wait());
  if (code == 77) {
    WARN("no limit on processes can be had here");
  } else {
    CHECK(code == 0);
  }
}

}  // namespace process_test

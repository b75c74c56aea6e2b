// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/child.hpp>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

using multiprocessing::base::Deadline;
using multiprocessing::launch::Child;
namespace os = multiprocessing::os;
using namespace std::chrono_literals;

namespace {
template <class Body>
Child start(Body const& body) {
  pid_t const pid = ::fork();
  if (pid == 0) ::_exit(body());
  return Child(pid, os::open_pidfd(pid));
}
}  // namespace

TEST_CASE("many threads that wait for a child all learn its status", "[child]") {
  for (int round = 0; round < 20; ++round) {
    support::Pipe go;
    auto child = start([&] { return go.hear() == '.' ? 5 : 1; });
    CHECK_FALSE(child.poll());
    std::vector<std::thread> waiters;
    std::atomic<int> learned{0};
    for (int i = 0; i < 8; ++i) {
      waiters.emplace_back([&] {
        auto const status = child.wait_until(Deadline::never());
        if (status && status->exitcode() == 5) ++learned;
      });
    }
    go.tell();
    for (auto& waiter : waiters) waiter.join();
    CHECK(learned == 8);
    CHECK(child.poll()->exitcode() == 5);
  }
}

TEST_CASE("a wait ends at its deadline while the child runs on", "[child]") {
  auto child = start([] {
    for (;;) ::pause();
    return 0;
  });
  CHECK_FALSE(child.wait_until(Deadline::after(10ms)));
  child.send(SIGKILL);
  CHECK(child.wait_until(Deadline::never())->signal() == SIGKILL);
  child.send(SIGKILL);  // to nobody
}

TEST_CASE("a child that another part of the program reaps has an unknown status", "[child]") {
  auto child = start([] { return 0; });
  ::waitpid(child.pid(), nullptr, 0);
  CHECK(child.wait_until(Deadline::never())->unknown());
}

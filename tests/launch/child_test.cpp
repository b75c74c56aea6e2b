// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/launch/child.hpp>

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace child_test {

using multiprocessing::base::Deadline;
using multiprocessing::launch::Child;
using namespace std::chrono_literals;

namespace {
template <class Body>
std::unique_ptr<Child> start(Body const& body) {
  pid_t const pid = ::fork();
  if (pid == 0) ::_exit(body());
  return std::make_unique<Child>(pid);
}
}  // namespace

TEST_CASE("many threads that wait for a child all learn its status", "[child]") {
  for (int round = 0; round < 20; ++round) {
    support::Pipe go;
    auto child = start([&] { return go.hear() == '.' ? 5 : 1; });
    CHECK_FALSE(child->poll());
    std::vector<std::thread> waiters;
    std::atomic<int> learned{0};
    for (int i = 0; i < 8; ++i) {
      waiters.emplace_back([&] {
        auto const status = child->wait_until(Deadline::never());
        if (status && status->exitcode() == 5) ++learned;
      });
    }
    go.tell();
    for (auto& waiter : waiters) waiter.join();
    CHECK(learned == 8);
    CHECK(child->poll()->exitcode() == 5);
  }
}

TEST_CASE("a wait ends at its deadline while the child runs on", "[child]") {
  auto child = start([] {
    for (;;) ::pause();
    return 0;
  });
  CHECK_FALSE(child->wait_until(Deadline::after(10ms)));
  child->send(SIGKILL);
  CHECK(child->wait_until(Deadline::never())->signal() == SIGKILL);
  child->send(SIGKILL);  // to nobody
}

TEST_CASE("a child that another part of the program reaps has an unknown status", "[child]") {
  auto child = start([] { return 0; });
  ::waitpid(child->pid(), nullptr, 0);
  CHECK(child->wait_until(Deadline::never())->unknown());
}

TEST_CASE("a child for which no descriptor is left is waited for all the same", "[child]") {
  if (support::kSanitized) return;  // its checks of virtual calls need descriptors themselves
  support::RawChild program([] {
    rlimit const none{3, 3};
    ::setrlimit(RLIMIT_NOFILE, &none);
    auto const child = start([] { return 5; });
    try {
      child->sentinel();
      return 1;
    } catch (std::system_error const& error) {
      if (error.code() != std::errc::too_many_files_open) return 2;
    }
    auto const status = child->wait_until(Deadline::never());
    if (!status || status->exitcode() != 5) return 3;
    auto const other = start([] {
      for (;;) ::pause();
      return 0;
    });
    if (other->wait_until(Deadline::after(5ms))) return 4;
    other->send(SIGKILL);
    return other->wait_until(Deadline::never())->signal() == SIGKILL ? 0 : 5;
  });
  CHECK(WEXITSTATUS(program.wait()) == 0);
}

}  // namespace child_test

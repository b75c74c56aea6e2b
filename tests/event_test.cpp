// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/event.hpp>

#include <sys/wait.h>

#include <csignal>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/mailbox.hpp"
#include "support/system_calls.hpp"

namespace event_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

TEST_CASE("it is unset at first; set and cleared any number of times", "[event]") {
  mp::Event const event;
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(event.is_set());
    CHECK_FALSE(event.wait(0s));
    CHECK_FALSE(event.wait_for(1ms));
    CHECK_FALSE(event.wait_until(std::chrono::steady_clock::now() + 1ms));
    event.set();
    event.set();
    CHECK(event.is_set());
    CHECK(event.wait());
    CHECK(event.wait(0s));
    event.clear();
    event.clear();
  }
}

TEST_CASE("all who wait are woken by a set from another process", "[event]") {
  mp::Event const event;
  std::vector<std::unique_ptr<support::RawChild>> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.push_back(std::make_unique<support::RawChild>([&] { return event.wait() ? 0 : 1; }));
    support::wait_until_asleep(waiters.back()->pid());
  }
  mp::Process process([](mp::Event const& theirs) { theirs.set(); }, event);
  process.start();
  for (auto& waiter : waiters) CHECK(waiter->wait() == 0);
  process.join();
  CHECK(event.is_set());
}

TEST_CASE("who waits while it is set and cleared at once is woken all the same", "[event]") {
  mp::Event const event;
  support::RawChild waiter([&] { return event.wait() ? 0 : 1; });
  support::wait_until_asleep(waiter.pid());
  waiter.stop();
  event.set();
  event.clear();
  waiter.go_on();
  CHECK(waiter.wait() == 0);
}

TEST_CASE("an event is not kept from anybody by killed waiters", "[event]") {
  mp::Event const event;
  for (int i = 0; i < 5; ++i) {
    support::RawChild waiter([&] { event.wait(); });
    support::wait_until_asleep(waiter.pid());
  }
  support::RawChild survivor([&] { event.wait(); });
  event.set();
  CHECK(survivor.wait() == 0);
}

TEST_CASE("two processes hand each other every turn", "[event][stress]") {
  mp::Event const ping;
  mp::Event const pong;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  auto const take_turns = [](mp::Event const& mine, mp::Event const& theirs, long turns) {
    for (long i = 0; i < turns; ++i) {
      mine.wait();
      mine.clear();
      theirs.set();
    }
  };
  mp::Process process(take_turns, ping, pong, rounds);
  process.start();
  ping.set();
  take_turns(pong, ping, rounds - 1);
  pong.wait();
  process.join();
  CHECK(process.exitcode() == 0);
}

namespace {
std::optional<mp::Event> handled;
}

TEST_CASE("a signal handler can set it, also in the middle of a set or a wait", "[event]") {
  handled = mp::Event();
  auto* const before = std::signal(SIGUSR1, [](int) { handled->set(); });
  pid_t const self = ::getpid();
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 2'000);
  support::RawChild shooter([&] {
    for (;;) {
      ::kill(self, SIGUSR1);
      ::sched_yield();
    }
  });
  for (long i = 0; i < rounds; ++i) {
    handled->wait();
    handled->clear();
    handled->set();
    handled->clear();
  }
  shooter.kill();
  shooter.wait();
  std::signal(SIGUSR1, before);
  handled.reset();
}

TEST_CASE("without a sleeper no call of an event enters the kernel", "[event]") {
  mp::Event const event;
  event.set();  // whatever happens once
  CHECK(support::system_calls_of([&] {
          for (int i = 0; i < 1000; ++i) {
            event.clear();
            event.set();
            static_cast<void>(event.wait());
            static_cast<void>(event.is_set());
          }
        }) == 0);
}

TEST_CASE("it prints its state", "[event]") {
  mp::Event const event;
  std::ostringstream out;
  out << event;
  event.set();
  out << event;
  CHECK(out.str() == "<Event(unset)><Event(set)>");
}

TEST_CASE("a copy is the same event", "[event]") {
  mp::Event const event;
  auto const copy = event;
  CHECK(copy == event);
  CHECK(support::parcelled(event) == event);
  copy.set();
  CHECK(event.is_set());
}

}  // namespace event_test

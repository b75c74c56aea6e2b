// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/call.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiprocessing/event.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/start_methods.hpp"

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace call_test {

using support::ByFork;
using support::ByForkServer;
using support::BySpawn;

std::string twice(std::string const& text) { return text + text; }
void do_nothing() {}
int crash() { return *static_cast<int volatile*>(nullptr); }
int fail(int number) { throw std::out_of_range("no " + std::to_string(number)); }
void sleep_for_ever() {
  for (;;) ::pause();
}
std::size_t take_memory(std::size_t megabytes) {
  std::vector<std::unique_ptr<char[]>> taken;
  for (std::size_t i = 0; i < megabytes; ++i) {
    taken.push_back(std::make_unique<char[]>(std::size_t{1} << 20));
  }
  return taken.size();
}

TEMPLATE_TEST_CASE("a call returns, or throws, as if it were made here", "[call]", ByFork, BySpawn,
                   ByForkServer) {
  CHECK(mp::call(TestType::call_options(), twice, std::string("ab")) == "abab");
  mp::call(TestType::call_options(), do_nothing);
  CHECK(mp::call(
            TestType::call_options(), [](int a, int b) { return a + b; }, 2, 3) == 5);
  CHECK(mp::call(
            TestType::call_options(), [](std::unique_ptr<int> n) { return std::vector(3, *n); },
            std::make_unique<int>(4)) == std::vector{4, 4, 4});
  try {
    mp::call(TestType::call_options(), fail, 7);
    FAIL("it returned");
  } catch (std::out_of_range const& error) {
    CHECK(std::string(error.what()) == "no 7");
    CHECK_THAT(mp::format_exception(std::current_exception()), ContainsSubstring("in process '"));
  }
}

TEMPLATE_TEST_CASE("who crashes, exits or is killed in a call is told by how", "[call]", ByFork,
                   BySpawn, ByForkServer) {
  auto const died = [](auto const& f) {
    try {
      mp::call(TestType::call_options(), f);
    } catch (mp::ProcessDied const& error) {
      CHECK_THAT(error.what(), ContainsSubstring("call: Process-"));
      return error.exitcode();
    }
    return 0;
  };
  CHECK(died([] { mp::exit(3); }) == 3);
  CHECK(died([] { std::raise(SIGKILL); }) == -SIGKILL);
  if (support::kSanitized) return;  // which make an exit of it
  CHECK(died([] {
          std::signal(SIGSEGV, SIG_DFL);
          return crash();
        }) == -SIGSEGV);
}

TEMPLATE_TEST_CASE("a call has a time, and a process has none after it", "[call]", ByFork, BySpawn,
                   ByForkServer) {
  auto options = TestType::call_options();
  options.timeout = 20ms;
  CHECK_THROWS_AS(mp::call(options, sleep_for_ever), mp::TaskTimeout);
  options.timeout = 100s;
  CHECK(mp::call(options, twice, std::string("x")) == "xx");
}

TEMPLATE_TEST_CASE("a call ends at its time, whatever its process has started", "[call]", ByFork,
                   BySpawn, ByForkServer) {
  mp::Event go;
  auto const start_another = [](mp::Event told) {
    mp::Process([](mp::Event event) { event.wait(); }, told).start();
    return 42;
  };
  // Its process waits for the other at its end. A time that is too short to return is one more try.
  auto options = TestType::call_options();
  options.timeout = 50ms;
  std::optional<int> answer;
  for (; !answer; *options.timeout *= 2) {
    try {
      answer = mp::call(options, start_another, go);
    } catch (mp::TaskTimeout const&) {
    }
  }
  CHECK(answer == 42);
  // Without a time: who is left has the pipe, but the process has ended.
  auto const leave_another = [](mp::Event told) {
    if (::fork() == 0) {
      told.wait();
      ::_exit(0);
    }
    ::_exit(3);
  };
  CHECK_THROWS_AS(mp::call(TestType::call_options(), leave_another, go), mp::ProcessDied);
  go.set();
}

TEMPLATE_TEST_CASE("a call has a limit of memory", "[call]", ByFork, BySpawn, ByForkServer) {
  if (support::kSanitized) return;  // which allocate as they like
  auto options = TestType::call_options();
  options.max_memory = 50U << 20;
  CHECK(mp::call(options, take_memory, std::size_t{20}) == 20);
  CHECK_THROWS_AS(mp::call(options, take_memory, std::size_t{200}), mp::MemoryLimitExceeded);
  CHECK(mp::call(TestType::call_options(), take_memory, std::size_t{200}) == 200);
}

TEST_CASE("a function that is a null pointer is refused", "[call]") {
  int (*none)() = nullptr;
  CHECK_THROWS_AS(mp::call(none), std::invalid_argument);
  CHECK_THROWS_AS(mp::Process(none), std::invalid_argument);
}

TEST_CASE("calls leave no descriptor and no process", "[call]") {
  mp::call(do_nothing);
  auto const before = support::open_fds();
  for (int i = 0; i < 20; ++i) {
    mp::call(do_nothing);
    CHECK_THROWS_AS(mp::call(fail, 1), std::out_of_range);
    CHECK_THROWS_AS(mp::call({.timeout = 1ms}, sleep_for_ever), mp::TaskTimeout);
  }
  CHECK(support::open_fds() == before);
  CHECK(mp::active_children().empty());
}

}  // namespace call_test

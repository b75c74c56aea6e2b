// SPDX-License-Identifier: BSL-1.0
// Tasks that crash, by each way to run one and each way to crash: who waits for it is told where.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/os/crash_handler.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process_pool_executor.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/start_methods.hpp"
#include "../support/tasks.hpp"

// Exported, so that they have names.
namespace crash_in_pool_test {

[[gnu::noinline]] int write_to(int volatile* place) {
  *place = 1;
  return *place;
}
[[gnu::noinline]] int give_up() { std::abort(); }
[[gnu::noinline]] int divide(int a, int b) { return a / b; }
[[gnu::noinline]] int descend(int volatile* above) {
  int volatile here[100] = {};
  here[0] = *above + 1;
  return here[0] > 0 ? descend(here) + here[1] : 0;
}

namespace mp = multiprocessing;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;
using support::numbers;
using support::square;
using support::squares;

namespace {

int volatile zero = 0;

int write_to_null(int) { return write_to(nullptr); }
int abort_it(int) { return give_up(); }
int divide_by_zero(int x) { return divide(x, zero); }
int overflow(int x) {
  int const volatile begin = x > 0 ? 1 : 2;
  return descend(const_cast<int volatile*>(&begin));
}
int crash_in_thread(int) {
  std::thread([] { write_to(nullptr); }).join();
  return 0;
}
int crash_in_copy(int x) {
  support::RawChild copy([] { return write_to(nullptr); });
  return copy.exitcode() == -SIGSEGV ? x : -1;
}
void install_own_handler() {
  std::signal(SIGSEGV, [](int) { ::_exit(7); });
}
int exit_with_zero(int) { ::_exit(0); }

/// How it dies; nothing when it does not.
template <class Call>
std::optional<mp::WorkerDied> death_of(Call const& call) {
  try {
    call();
  } catch (mp::WorkerDied const& death) {
    return death;
  }
  return std::nullopt;
}

bool names(mp::WorkerDied const& death, std::string const& function) {
  auto const& frames = death.backtrace();
  return std::any_of(frames.begin(), frames.end(),
                     [&](auto const& frame) { return frame.find(function) != std::string::npos; });
}

template <class Way>
mp::PoolOptions options() {
  return {.processes = 1, .start_method = Way::options().start_method};
}

}  // namespace

TEMPLATE_TEST_CASE("a crash names the function, by each way to run a task", "[faults]", ByFork,
                   BySpawn, ByForkServer) {
  mp::Pool pool(options<TestType>());
  mp::ProcessPoolExecutor executor(
      {.max_workers = 1, .start_method = TestType::options().start_method});
  auto const by_map = death_of([&] {
    pool.map(
        {.chunksize = 1}, [](int x) { return x == 3 ? write_to_null(x) : x; }, numbers(10));
  });
  auto const by_apply = death_of([&] { pool.apply_async(write_to_null, 1).get(); });
  auto const by_submit = death_of([&] { executor.submit(write_to_null, 1).result(); });
  for (auto const& death : {by_map, by_apply, by_submit}) {
    REQUIRE(death);
    CHECK(death->signal() == SIGSEGV);
    CHECK(death->peak_memory().value_or(0) > 100'000);
    CHECK_THAT(death->what(), ContainsSubstring("was killed by SIGSEGV") &&
                                  ContainsSubstring(" while it ran it; its peak memory was ") &&
                                  ContainsSubstring(" MiB"));
    if (!mp::os::kHandlesCrashes) continue;
    CHECK(death->fault_address() == std::uintptr_t{0});
    REQUIRE_FALSE(death->backtrace().empty());
    CHECK_THAT(death->backtrace()[0], ContainsSubstring("crash_in_pool_test::write_to"));
    CHECK_THAT(death->what(),
               ContainsSubstring("SIGSEGV (segmentation fault) at address 0x0 while") &&
                   ContainsSubstring(" MiB\n    " + death->backtrace()[0]));
    CHECK_FALSE(names(*death, "main"));
  }
  CHECK_THAT(by_map->what(), ContainsSubstring("Pool.map, item 3 of 10: worker process " +
                                               std::to_string(by_map->pid()) + " was"));
  CHECK_THAT(by_apply->what(), ContainsSubstring("Pool.apply_async: worker process"));
  CHECK(pool.map(square, numbers(10)) == squares(10));
}

TEST_CASE("every kind of crash has its signal and its place", "[faults]") {
  if (!mp::os::kHandlesCrashes) return;
  mp::Pool pool(1);
  struct Case {
    int (*crash)(int);
    int signal;
    char const* function;
    char const* text;
  };
  std::vector<Case> const cases {
    {abort_it, SIGABRT, "give_up", "SIGABRT (aborted) while"},
        {overflow, SIGSEGV, "descend", "(segmentation fault) at address 0x"},
        {crash_in_thread, SIGSEGV, "write_to", "at address 0x0"},
#if defined(__x86_64__)  // elsewhere it gives a number
        {divide_by_zero, SIGFPE, "divide", "(floating point exception) at address 0x"},
#endif
  };
  for (auto const& each : cases) {
    INFO(each.text);
    auto const death = death_of([&] { pool.apply(each.crash, 1); });
    REQUIRE(death);
    CHECK(death->signal() == each.signal);
    CHECK(names(*death, each.function));
    CHECK(death->fault_address().has_value() == (each.signal != SIGABRT));
    CHECK_THAT(death->what(), ContainsSubstring(each.text));
  }
  CHECK(pool.apply(square, 3) == 9);
}

TEST_CASE("another death has no backtrace, but its peak memory", "[faults]") {
  mp::Pool pool(1);
  for (auto* const end : {&support::kill_self, &exit_with_zero}) {
    auto const death = death_of([&] { pool.apply(end, 1); });
    REQUIRE(death);
    CHECK(death->backtrace().empty());
    CHECK_FALSE(death->fault_address());
    CHECK(death->peak_memory().value_or(0) > 100'000);
    CHECK_THAT(death->what(), ContainsSubstring("; its peak memory was "));
  }
}

TEST_CASE("each of many deaths has its own report, as long as it is kept", "[faults]") {
  mp::Pool pool(2);
  std::vector<mp::AsyncResult<int>> results;
  for (std::uintptr_t i = 0; i < 20; ++i) {
    results.push_back(pool.apply_async(
        [](std::uintptr_t at) { return write_to(reinterpret_cast<int volatile*>(at)); }, 16 + i));
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    auto const death = death_of([&] { results[i].get(); });
    REQUIRE(death);
    CHECK(death->signal() == SIGSEGV);
    if (mp::os::kHandlesCrashes) CHECK(death->fault_address() == 16 + i);
  }
}

TEST_CASE("a handler of the user's wins", "[faults]") {
  mp::Pool pool({.processes = 1, .initializer = install_own_handler});
  auto const death = death_of([&] { pool.apply(write_to_null, 1); });
  REQUIRE(death);
  CHECK(death->exitcode() == 7);
  CHECK(death->backtrace().empty());
}

TEST_CASE("a crash in a copy of the worker harms nobody", "[faults]") {
  if (!mp::os::kHandlesCrashes) return;
  mp::Pool pool(1);
  auto const pid = pool.worker_pids();
  CHECK(pool.apply(crash_in_copy, 5) == 5);
  CHECK(pool.worker_pids() == pid);
  auto const death = death_of([&] { pool.apply(abort_it, 1); });
  REQUIRE(death);
  CHECK(names(*death, "give_up"));
  CHECK_FALSE(names(*death, "write_to"));
}

}  // namespace crash_in_pool_test

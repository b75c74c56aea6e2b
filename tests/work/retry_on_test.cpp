// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/retry_on.hpp>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>

#include <multiprocessing/pool.hpp>
#include <multiprocessing/process_pool_executor.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace retry_on_test {

namespace mp = multiprocessing;
using mp::RetryOn;
using namespace std::chrono_literals;

namespace {

/// Which run of its task this is, from 1 on.
int next_run(mp::Value<int> const& runs) {
  return runs.update([](int& n) { return ++n; });
}
int throw_until(mp::Value<int> const& runs, int good) {
  int const run = next_run(runs);
  if (run < good) throw std::range_error("run " + std::to_string(run));
  return run;
}
int die_until(mp::Value<int> const& runs, int good) {
  int const run = next_run(runs);
  return run < good ? support::kill_self(run) : run;
}
int hang_until(mp::Value<int> const& runs, int good) {
  int const run = next_run(runs);
  while (run < good) ::pause();
  return run;
}

}  // namespace

TEST_CASE("what a task is run again after are members of a set", "[pool]") {
  constexpr auto kBoth = RetryOn::crash | RetryOn::exception;
  STATIC_REQUIRE(kBoth != RetryOn::crash);
  STATIC_REQUIRE((kBoth | RetryOn::crash) == kBoth);
}

TEST_CASE("a task that throws is run again as often as it may be", "[pool]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  mp::ApplyOptions const twice{.retries = 2, .retry_on = RetryOn::exception};
  CHECK(pool.apply_async(twice, throw_until, runs, 3).get() == 3);
  runs = 0;
  auto const failed = pool.apply_async(twice, throw_until, runs, 4);
  CHECK(support::message_of<std::range_error>([&] { failed.get(); }) == "run 3");
  CHECK(runs.value() == 3);
}

TEST_CASE("a task is run again after what it may be, and nothing else", "[pool]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  CHECK_THROWS_AS(pool.apply_async({.retries = 5}, throw_until, runs, 3).get(), std::range_error);
  CHECK(runs.value() == 1);
  runs = 0;
  mp::ApplyOptions const when_it_throws{.retries = 5, .retry_on = RetryOn::exception};
  CHECK_THROWS_AS(pool.apply_async(when_it_throws, die_until, runs, 3).get(), mp::WorkerDied);
  CHECK(runs.value() == 1);
  runs = 0;
  mp::ApplyOptions const in_time{.timeout = 20ms, .retries = 5};
  CHECK_THROWS_AS(pool.apply_async(in_time, hang_until, runs, 3).get(), mp::TaskTimeout);
  CHECK(runs.value() == 1);
}

TEST_CASE("a task that was late is run again, by another worker", "[pool]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  mp::ApplyOptions const in_time{.timeout = 20ms, .retries = 2, .retry_on = RetryOn::timeout};
  CHECK(pool.apply_async(in_time, hang_until, runs, 3).get() == 3);
  runs = 0;
  CHECK_THROWS_AS(pool.apply_async(in_time, hang_until, runs, 9).get(), mp::TaskTimeout);
  CHECK(runs.value() == 3);
}

TEST_CASE("deaths and exceptions of a task are counted together", "[pool]") {
  mp::ProcessPoolExecutor executor(2);
  mp::Value<int> runs(0);
  auto const by_turns = [](mp::Value<int> const& counted) {
    int const run = next_run(counted);
    if (run % 2 == 1) throw std::range_error("odd");
    return run < 5 ? support::kill_self(run) : run;
  };
  mp::SubmitOptions options{.retries = 5, .retry_on = RetryOn::crash | RetryOn::exception};
  CHECK(executor.submit(options, by_turns, runs).result() == 6);
  runs = 0;
  options.retries = 3;
  CHECK_THROWS_AS(executor.submit(options, by_turns, runs).result(), mp::WorkerDied);
}

TEST_CASE("a task waits before it is run again, each time longer, and others do not", "[pool]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  auto const begin = std::chrono::steady_clock::now();
  auto const waits = pool.apply_async(
      {.retries = 3, .retry_on = RetryOn::exception, .backoff = 20ms}, throw_until, runs, 4);
  CHECK(pool.apply(support::square, 3) == 9);
  CHECK(waits.get() == 4);
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms + 40ms + 80ms);
}

TEST_CASE("a pool that is closed runs again what waits for that", "[pool]") {
  mp::Pool pool(2);
  mp::Value<int> runs(0);
  auto const waits = pool.apply_async(
      {.retries = 1, .retry_on = RetryOn::exception, .backoff = 50ms}, throw_until, runs, 2);
  pool.close();
  pool.join();
  CHECK(waits.get() == 2);
}

TEST_CASE("a task that waits to be run again is given up as any other", "[pool]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  mp::ApplyOptions const hopeless{
      .retries = 1, .retry_on = RetryOn::exception, .backoff = std::chrono::hours(1)};
  auto const cancelled = pool.apply_async(hopeless, throw_until, runs, 9);
  while (runs.value() < 1 || pool.apply(support::square, 1) != 1) std::this_thread::yield();
  CHECK(cancelled.cancel(mp::cancel_running));
  CHECK_THROWS_AS(cancelled.get(), mp::CancelledError);
  auto const dropped = pool.apply_async(hopeless, throw_until, runs, 9);
  while (runs.value() < 2 || pool.apply(support::square, 1) != 1) std::this_thread::yield();
  pool.terminate();
  CHECK_THROWS_AS(dropped.get(), mp::CancelledError);
}

TEST_CASE("arguments are there for each run, of whatever size", "[pool]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  auto const last_of = [](mp::Value<int> const& counted, std::string text) {
    auto const taken = std::move(text);
    throw_until(counted, 3);
    return taken;
  };
  for (std::size_t const size : {1, 30, 44, 45, 10'000}) {
    runs = 0;
    auto const result = pool.apply_async({.retries = 2, .retry_on = RetryOn::exception}, last_of,
                                         runs, std::string(size, 'x'));
    CHECK(result.get() == std::string(size, 'x'));
  }
}

}  // namespace retry_on_test

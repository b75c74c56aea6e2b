// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/retry_on.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>

#include <multiprocessing/array.hpp>
#include <multiprocessing/os/clock.hpp>
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

mp::ApplyOptions const kMuchLater{
    .retries = 1, .retry_on = RetryOn::exception, .backoff = std::chrono::hours(1)};

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

TEST_CASE("what a task is run again after are members of a set", "[retry_on]") {
  constexpr auto kBoth = RetryOn::crash | RetryOn::exception;
  STATIC_REQUIRE(kBoth != RetryOn::crash);
  STATIC_REQUIRE((kBoth | RetryOn::crash) == kBoth);
}

TEST_CASE("a task that throws is run again as often as it may be", "[retry_on]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  mp::ApplyOptions const twice{.retries = 2, .retry_on = RetryOn::exception};
  CHECK(pool.apply_async(twice, throw_until, runs, 3).get() == 3);
  runs = 0;
  auto const failed = pool.apply_async(twice, throw_until, runs, 4);
  CHECK(support::message_of<std::range_error>([&] { failed.get(); }) == "run 3");
  CHECK(runs.value() == 3);
}

TEST_CASE("a task is run again after what it may be, and nothing else", "[retry_on]") {
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

TEST_CASE("a task that was late is run again, by another worker", "[retry_on]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  mp::ApplyOptions const in_time{.timeout = 20ms, .retries = 2, .retry_on = RetryOn::timeout};
  CHECK(pool.apply_async(in_time, hang_until, runs, 3).get() == 3);
  runs = 0;
  CHECK_THROWS_AS(pool.apply_async(in_time, hang_until, runs, 9).get(), mp::TaskTimeout);
  CHECK(runs.value() == 3);
}

TEST_CASE("deaths and exceptions of a task are counted together", "[retry_on]") {
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

TEST_CASE("a task waits before it is run again, each time twice as long", "[retry_on]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  mp::Array<std::int64_t> times(4);
  auto const note_time = [](mp::Value<int> const& counted, mp::Array<std::int64_t> const& noted) {
    int const run = next_run(counted);
    noted[static_cast<std::size_t>(run - 1)] = mp::os::monotonic_time();
    if (run < 4) throw std::range_error("not yet");
  };
  pool.apply_async({.retries = 3, .retry_on = RetryOn::exception, .backoff = 10ms}, note_time, runs,
                   times)
      .get();
  for (std::size_t run = 1; run < 4; ++run) {
    constexpr std::int64_t kMillisecond = 1'000'000;
    CHECK(times[run] - times[run - 1] >= (10 << (run - 1)) * kMillisecond);
  }
}

TEST_CASE("what waits to be run again holds up nobody", "[retry_on]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  auto const waits = pool.apply_async(kMuchLater, throw_until, runs, 2);
  while (runs.value() < 1) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) CHECK(pool.apply(support::square, i) == i * i);
  CHECK(!waits.ready());
  pool.terminate();
}

TEST_CASE("who ends a pool does not wait for what was given up", "[retry_on]") {
  mp::Value<int> runs(0);
  {
    mp::Pool pool(1);
    auto const waits = pool.apply_async(kMuchLater, throw_until, runs, 2);
    while (runs.value() < 1 || pool.apply(support::square, 1) != 1) std::this_thread::yield();
    CHECK(waits.cancel(mp::cancel_running));
    pool.close();
    pool.join();
  }
  runs = 0;
  {
    mp::Pool pool(1);
    auto const waits = pool.apply_async(kMuchLater, throw_until, runs, 2);
    pool.close();
    while (runs.value() < 1) std::this_thread::yield();
    CHECK(waits.cancel(mp::cancel_running));
    pool.join();
  }
  runs = 0;
  mp::ProcessPoolExecutor executor(1);
  auto const waits = executor.submit({.retries = 1, .retry_on = RetryOn::exception, .backoff = 1h},
                                     throw_until, runs, 2);
  while (runs.value() < 1 || executor.submit(support::square, 1).result() != 1) {
    std::this_thread::yield();
  }
  executor.shutdown({.cancel_futures = true});
  CHECK(waits.cancelled());
}

TEST_CASE("a task that throws because it is to stop is not run again", "[retry_on]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  auto const stop_by_throwing = [](mp::Value<int> const& counted) {
    int const run = next_run(counted);
    while (!mp::stop_requested()) std::this_thread::yield();
    throw std::range_error("stopped in run " + std::to_string(run));
  };
  mp::ApplyOptions const options{.retries = 5, .retry_on = RetryOn::exception};
  auto const asked = pool.apply_async(options, stop_by_throwing, runs);
  while (runs.value() < 1) std::this_thread::yield();
  asked.request_stop();
  CHECK(support::message_of<std::range_error>([&] { asked.get(); }) == "stopped in run 1");
  runs = 0;
  auto in_time = options;
  in_time.timeout = 10ms;
  in_time.grace = 1h;
  auto const late = pool.apply_async(in_time, stop_by_throwing, runs);
  CHECK(support::message_of<std::range_error>([&] { late.get(); }) == "stopped in run 1");
  runs = 0;
  in_time.retry_on = RetryOn::timeout;
  in_time.retries = 1;
  auto const again = pool.apply_async(in_time, stop_by_throwing, runs);
  CHECK(support::message_of<std::range_error>([&] { again.get(); }) == "stopped in run 2");
}

TEST_CASE("a pool that is closed runs again what waits for that", "[retry_on]") {
  mp::Pool pool(2);
  mp::Value<int> runs(0);
  auto const waits = pool.apply_async(
      {.retries = 1, .retry_on = RetryOn::exception, .backoff = 50ms}, throw_until, runs, 2);
  pool.close();
  pool.join();
  CHECK(waits.get() == 2);
}

TEST_CASE("a task that waits to be run again is given up as any other", "[retry_on]") {
  mp::Pool pool(1);
  mp::Value<int> runs(0);
  auto const cancelled = pool.apply_async(kMuchLater, throw_until, runs, 9);
  while (runs.value() < 1 || pool.apply(support::square, 1) != 1) std::this_thread::yield();
  CHECK(cancelled.cancel(mp::cancel_running));
  CHECK_THROWS_AS(cancelled.get(), mp::CancelledError);
  auto const dropped = pool.apply_async(kMuchLater, throw_until, runs, 9);
  while (runs.value() < 2 || pool.apply(support::square, 1) != 1) std::this_thread::yield();
  pool.terminate();
  CHECK_THROWS_AS(dropped.get(), mp::CancelledError);
}

TEST_CASE("arguments are there for each run, of whatever size", "[retry_on]") {
  mp::Pool pool(1);
  auto const take = [](std::string text) {
    static int runs = 0;  // all of them are in one process
    auto taken = std::move(text);
    if (++runs % 3 != 0) throw std::range_error("not yet");
    return taken;
  };
  for (std::size_t const size : {1U, 30U, 44U, 45U, 10'000U}) {
    auto const result = pool.apply_async({.retries = 2, .retry_on = RetryOn::exception}, take,
                                         std::string(size, 'x'));
    CHECK(result.get() == std::string(size, 'x'));
  }
}

}  // namespace retry_on_test

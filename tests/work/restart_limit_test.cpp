// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/restart_limit.hpp>

#include <chrono>

#include <multiprocessing/pool.hpp>
#include <multiprocessing/process_pool_executor.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace restart_limit_test {

namespace mp = multiprocessing;
using mp::work::DeathCount;
using namespace std::chrono_literals;

TEST_CASE("deaths are too many when more come within the period than may", "[restart_limit]") {
  DeathCount deaths({.intensity = 2, .period_ms = 1000});
  DeathCount::Clock::time_point const begin{};
  CHECK(!deaths.add(begin));
  CHECK(!deaths.add(begin + 500ms));
  CHECK(!deaths.add(begin + 1001ms));
  CHECK(!deaths.add(begin + 2000ms));
  CHECK(deaths.add(begin + 2001ms));
}

TEST_CASE("without a limit no deaths are too many", "[restart_limit]") {
  DeathCount deaths({});
  for (int i = 0; i < 1000; ++i) CHECK(!deaths.add({}));
}

TEST_CASE("a pool whose workers die too often says so, and why", "[restart_limit]") {
  mp::Pool pool({.processes = 1, .restart_intensity = 2, .restart_period = 1h});
  for (int i = 0; i < 2; ++i) CHECK_THROWS_AS(pool.apply(support::kill_self, 1), mp::WorkerDied);
  CHECK(pool.apply(support::square, 3) == 9);
  CHECK_THROWS_AS(pool.apply(support::kill_self, 1), mp::WorkerDied);
  auto const text = support::message_of<mp::BrokenProcessPool>([&] {
    for (;;) pool.apply(support::square, 3);
  });
  CHECK_THAT(text, ContainsSubstring("more than 2 workers have died within 3600000 ms"));
  CHECK_THAT(text, ContainsSubstring("was killed by SIGKILL"));
}

TEST_CASE("who waits in a pool that breaks is told", "[restart_limit]") {
  mp::ProcessPoolExecutor executor({.max_workers = 2, .restart_intensity = 0});
  auto const waits = executor.submit([] { ::pause(); });
  auto const dies = executor.submit(support::kill_self, 1);
  CHECK_THROWS_AS(dies.result(), mp::WorkerDied);
  CHECK_THROWS_AS(waits.result(), mp::BrokenProcessPool);
}

TEST_CASE("workers that the pool itself kills are no deaths, those that a task exits are",
          "[restart_limit]") {
  using namespace std::chrono_literals;
  mp::Pool pool({.processes = 1, .restart_intensity = 0, .restart_period = 1h});
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(pool.apply_async({.timeout = 5ms}, [] { ::pause(); }).get(), mp::TaskTimeout);
    auto const cancelled = pool.apply_async([] { ::pause(); });
    CHECK(cancelled.cancel(mp::cancel_running));
    CHECK(pool.apply(support::square, i) == i * i);
  }
  CHECK_THROWS_AS(pool.apply([] { ::_exit(0); }), mp::WorkerDied);
  CHECK_THROWS_AS(
      [&] {
        for (;;) pool.apply(support::square, 3);
      }(),
      mp::BrokenProcessPool);
}

TEST_CASE("workers that leave by themselves are no deaths", "[restart_limit]") {
  mp::Pool pool({.processes = 1, .max_tasks_per_child = 1, .restart_intensity = 0});
  for (int i = 0; i < 5; ++i) CHECK(pool.apply(support::square, i) == i * i);
  pool.resize(3);
  pool.resize(1);
  CHECK(pool.apply(support::square, 3) == 9);
}

}  // namespace restart_limit_test

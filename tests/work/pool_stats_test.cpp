// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/pool_stats.hpp>

#include <chrono>
#include <stdexcept>
#include <thread>

#include <multiprocessing/event.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/process_pool_executor.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace pool_stats_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

TEST_CASE("a pool tells what its workers have done", "[pool_stats]") {
  mp::Pool pool(2);
  for (int i = 0; i < 10; ++i) CHECK(pool.apply(support::square, i) == i * i);
  CHECK(pool.map({.chunksize = 1}, support::square, support::numbers(6)) == support::squares(6));
  // The last of them may not have been written down yet.
  while (pool.stats().tasks_done() < 16) std::this_thread::yield();
  auto const stats = pool.stats();
  CHECK(stats.tasks_done() == 16);
  CHECK(stats.restarts() == 0);
  CHECK(stats.tasks_waiting == 0);
  REQUIRE(stats.workers.size() == 2);
  auto const pids = pool.worker_pids();
  for (auto const& worker : stats.workers) {
    CHECK(worker.pid == pids.at(static_cast<std::size_t>(worker.number)));
    CHECK(worker.memory > 4096);
    CHECK(!worker.running_for);
  }
}

TEST_CASE("a pool tells what runs, for how long, and what waits", "[pool_stats]") {
  mp::Pool pool(1);
  mp::Event const begun;
  mp::Event const go_on;
  auto const wait = [](mp::Event const& has_begun, mp::Event const& may_go_on) {
    has_begun.set();
    may_go_on.wait();
  };
  auto const first = pool.apply_async(wait, begun, go_on);
  auto const second = pool.apply_async(wait, begun, go_on);
  begun.wait();
  while (pool.stats().workers.at(0).running_for.value() < 20ms) std::this_thread::yield();
  CHECK(pool.stats().workers.at(0).is_ready);
  CHECK(pool.stats().tasks_waiting == 1);
  go_on.set();
  second.get();
  CHECK(pool.stats().tasks_waiting == 0);
}

TEST_CASE("a pool counts how often it has replaced a worker", "[pool_stats]") {
  mp::ProcessPoolExecutor executor(1);
  for (std::uint64_t deaths = 1; deaths <= 3; ++deaths) {
    CHECK_THROWS_AS(executor.submit(support::kill_self, 1).result(), mp::WorkerDied);
    CHECK(executor.submit(support::square, 3).result() == 9);
    CHECK(executor.stats().restarts() == deaths);
  }
}

TEST_CASE("only the owner asks what a pool is doing", "[pool_stats]") {
  mp::Pool pool(1);
  mp::Process child({.start_method = mp::StartMethod::fork}, [&] {
    try {
      pool.stats();
    } catch (std::logic_error const&) {
      mp::exit(7);
    }
  });
  child.start();
  child.join();
  CHECK(child.exitcode() == 7);
}

TEST_CASE("what workers have done is not forgotten when a pool is made smaller", "[pool_stats]") {
  mp::Pool pool(4);
  CHECK(pool.map({.chunksize = 1}, support::square, support::numbers(40)) == support::squares(40));
  while (pool.stats().tasks_done() < 40) std::this_thread::yield();
  pool.resize(1);
  while (pool.worker_pids().size() > 1) std::this_thread::yield();
  CHECK(pool.stats().tasks_done() == 40);
  CHECK(pool.stats().restarts() == 0);
}

}  // namespace pool_stats_test

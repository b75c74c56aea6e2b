// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/pool_proxy.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <multiprocessing/errors.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/start_methods.hpp"

namespace pool_proxy_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

int square(int x) { return x * x; }
int add(int a, int b) { return a + b; }
int refuse(int) { throw std::domain_error("not that one"); }
int crash(int) {
  ::raise(SIGSEGV);
  return 0;
}
void sleep_forever() { ::pause(); }

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}
std::vector<int> squares(int count) {
  auto all = numbers(count);
  for (auto& each : all) each *= each;
  return all;
}

}  // namespace

TEST_CASE("a manager's pool does what a pool does", "[pool_proxy]") {
  mp::Manager const manager;
  auto const pool = manager.Pool(2);
  CHECK(pool.worker_pids().size() == 2);
  CHECK(pool.apply(square, 5) == 25);
  CHECK(pool.apply([](std::string const& text) { return text + "!"; }, std::string("go")) == "go!");
  CHECK(pool.map(square, numbers(100)) == squares(100));
  CHECK(pool.map({.chunksize = 7}, square, numbers(100)) == squares(100));
  CHECK(pool.starmap(add, std::vector{std::tuple{1, 2}, std::tuple{3, 4}}) == std::vector{3, 7});
  auto const async = pool.apply_async(square, 6);
  CHECK(async.get() == 36);
  CHECK(async.ready());
  CHECK(async.successful());
  CHECK(pool.map_async(square, numbers(10)).get(60s) == squares(10));
  CHECK(pool.starmap_async(add, std::vector{std::tuple{1, 2}}).get() == std::vector{3});
  std::vector<int> lazy;
  for (int const result : pool.imap(square, numbers(20))) lazy.push_back(result);
  CHECK(lazy == squares(20));
  std::multiset<int> unordered;
  for (int const result : pool.imap_unordered({.chunksize = 3}, square, numbers(20))) {
    unordered.insert(result);
  }
  auto const all = squares(20);
  CHECK(unordered == std::multiset<int>(all.begin(), all.end()));
  pool.close();
  CHECK_THROWS_AS(pool.apply(square, 5), std::invalid_argument);
  pool.join();
}

TEST_CASE("what a task throws arrives, and a dead worker is a WorkerDied", "[pool_proxy]") {
  mp::Manager const manager;
  auto const pool = manager.Pool(1);
  CHECK(support::message_of<std::domain_error>([&] { pool.apply(refuse, 1); }) == "not that one");
  CHECK_THROWS_AS(pool.apply(crash, 1), mp::WorkerDied);
  CHECK_THROWS_AS(pool.map(crash, numbers(3)), mp::WorkerDied);
  CHECK_THROWS_AS(pool.apply_async({.timeout = 1ms}, sleep_forever).get(), mp::TaskTimeout);
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("options are those of a pool", "[pool_proxy]") {
  mp::Manager const manager;
  int value = 7;
  auto const pool = manager.Pool(
      {.processes = 1,
       .initializer = mp::bind([](int x) { ::alarm(static_cast<unsigned>(x) * 1000); }, value),
       .max_tasks_per_child = 1});
  auto const pid = [] { return ::getpid(); };
  CHECK(pool.apply([] { return ::alarm(0) > 0; }));
  CHECK(pool.apply(pid) != pool.apply(pid));
  CHECK_THROWS_AS(manager.Pool(0), std::invalid_argument);
}

TEST_CASE("a callback has nowhere to be called", "[pool_proxy]") {
  mp::Manager const manager;
  auto const pool = manager.Pool(1);
  CHECK(support::message_of<std::invalid_argument>([&] {
          pool.apply_async({.callback = [](int) {}}, square, 1);
        }) == "PoolProxy: callbacks would be called in the manager's process; wait for the result");
}

TEST_CASE("processes share a pool, and results", "[pool_proxy]") {
  auto const method = GENERATE(from_range(mp::get_all_start_methods()));
  mp::Manager const manager;
  auto const pool = manager.Pool(2);
  auto const result = pool.apply_async(square, 9);
  mp::Process process(
      {.start_method = method},
      [](mp::PoolProxy const& its, mp::AsyncResultProxy<int> const& its_result) {
        mp::exit(its.apply(square, 3) == 9 && its_result.get() == 81 ? 0 : 1);
      },
      pool, result);
  process.start();
  process.join();
  CHECK(process.exitcode() == 0);
}

TEST_CASE("a task that runs holds up no other call", "[pool_proxy]") {
  mp::Manager const manager;
  auto const pool = manager.Pool(2);
  auto const sleeper = pool.apply_async(sleep_forever);
  CHECK_FALSE(sleeper.wait_for(1ms));
  CHECK_THROWS_AS(sleeper.get(1ms), mp::TimeoutError);
  CHECK(pool.apply(square, 4) == 16);
  CHECK(sleeper.cancel(mp::cancel_running));
  CHECK_THROWS_AS(sleeper.get(), mp::CancelledError);
}

TEST_CASE("with its last handle a pool is terminated", "[pool_proxy]") {
  mp::Manager const manager;
  int worker = 0;
  auto const late = [&] {
    auto const pool = manager.Pool(1);
    worker = pool.worker_pids().front();
    return pool.apply_async(sleep_forever);
  }();
  CHECK_THROWS_AS(late.get(), mp::CancelledError);
  CHECK(::kill(worker, 0) == -1);
}

TEST_CASE("the workers of a killed manager end with it", "[pool_proxy]") {
  mp::Manager const manager;
  auto const pool = manager.Pool(2);
  auto const sleeper = pool.apply_async(sleep_forever);
  ::kill(manager.pid(), SIGKILL);
  CHECK_THROWS_AS(sleeper.get(), mp::BrokenPipeError);
  CHECK_THROWS_AS(pool.apply(square, 1), mp::BrokenPipeError);
}  // and nothing is left: see support/leftovers.hpp

}  // namespace pool_proxy_test

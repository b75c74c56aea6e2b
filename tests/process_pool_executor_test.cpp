// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/process_pool_executor.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/pickle.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/start_methods.hpp"
#include "support/tasks.hpp"

namespace process_pool_executor_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::ByFork;
using support::ByForkServer;
using support::BySpawn;
using support::kill_self;
using support::numbers;
using support::OnePass;
using support::square;
using support::squares;

namespace {

int worker_pid() { return ::getpid(); }

int setting = 0;
void set(int value) { setting = value; }
int get_setting() { return setting; }

}  // namespace

TEMPLATE_TEST_CASE("calls run in workers of every start method", "[process_pool_executor]", ByFork,
                   BySpawn, ByForkServer) {
  mp::ProcessPoolExecutor executor({.max_workers = 2,
                                    .start_method = TestType::options().start_method,
                                    .initializer = mp::bind(set, 7)});
  CHECK(executor.submit(square, 9).result() == 81);
  CHECK(executor.submit(worker_pid).result() != ::getpid());
  CHECK(executor.submit(get_setting).result() == 7);
  CHECK(executor.map(square, numbers(20)).collect() == squares(20));
  CHECK_THROWS_AS(executor.submit(kill_self, 1).result(), mp::WorkerDied);
  CHECK(executor.submit(get_setting).result() == 7);
  mp::Queue<int> queue;
  executor.submit([](mp::Queue<int> out) { out.put(3); }, queue).result();
  CHECK(queue.get() == 3);
}

TEST_CASE("an executor has as many workers as it was told", "[process_pool_executor]") {
  CHECK(mp::ProcessPoolExecutor(3).worker_pids().size() == 3);
  for (int const count : {0, -1, 100'000}) {
    CHECK_THAT(support::message_of<std::invalid_argument>(
                   [&] { mp::ProcessPoolExecutor executor(count); }),
               ContainsSubstring("ProcessPoolExecutor: max_workers must be"));
  }
  CHECK_THROWS_AS(mp::ProcessPoolExecutor({.max_tasks_per_child = 0}), std::invalid_argument);
}

TEST_CASE("map is lazy, in order, and tells failures at their place", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor(2);
  for (int const chunksize : {1, 3, 6, 40, 50}) {
    CHECK(executor.map({.chunksize = chunksize}, square, numbers(40)).collect() == squares(40));
  }
  CHECK_THROWS_AS(executor.map({.chunksize = -1}, square, numbers(1)), std::invalid_argument);
  CHECK_THROWS_AS(executor.map({.buffersize = 0}, square, numbers(1)), std::invalid_argument);
  int sum = 0;
  for (int x : executor.map({.buffersize = 2}, square, support::Made(support::kNoEnd))) {
    if (x > 100) break;
    sum += x;
  }
  CHECK(sum == 385);
  auto failing =
      executor.map([](int x) { return x == 2 ? throw std::range_error("two") : x; }, numbers(4));
  CHECK(failing.next() == 0);
  CHECK(failing.next() == 1);
  CHECK_THROWS_AS(failing.next(), std::range_error);
  CHECK(failing.next() == 3);
}

TEST_CASE("the time of a map is counted from its call", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor(1);
  mp::Event go;
  auto range = executor.map(
      {.timeout = 1ms}, [](mp::Event event) { event.wait(); }, std::vector(2, go));
  CHECK_THROWS_AS(range.next(), mp::TimeoutError);
  go.set();
}

TEST_CASE("after shutdown nothing is taken, and what was is done", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor(2);
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(executor.submit(square, i));
  executor.shutdown();
  executor.shutdown();
  for (int i = 0; i < 50; ++i) {
    CHECK(futures[static_cast<std::size_t>(i)].done());
    CHECK(futures[static_cast<std::size_t>(i)].result() == square(i));
  }
  CHECK(support::message_of<mp::Error>([&] { executor.submit(square, 1); }) ==
        "ProcessPoolExecutor.submit: cannot schedule new futures after shutdown");
  CHECK_THROWS_AS(executor.map(square, numbers(1)), mp::Error);
}

TEST_CASE("many threads may shut an executor down", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor(1);
  std::atomic<int> called{0};
  for (int i = 0; i < 100; ++i) {
    executor.submit(square, i).add_done_callback([&](mp::Future<int> const&) { ++called; });
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { executor.shutdown(); });
  for (auto& thread : threads) thread.join();
  CHECK(called == 100);
}

TEST_CASE("a shutdown with a timeout says whether all has ended", "[process_pool_executor]") {
  using namespace std::chrono_literals;
  mp::ProcessPoolExecutor executor(1);
  mp::Event const go;
  auto const future = executor.submit([](mp::Event const& event) { event.wait(); }, go);
  CHECK(!executor.shutdown_for(20ms));
  CHECK(!future.done());
  go.set();
  CHECK(executor.shutdown_for(1h));
  CHECK(future.done());
}

TEST_CASE("shutdown may cancel what no worker has begun, and need not wait",
          "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor(1);
  mp::Event begun;
  mp::Event go;
  auto const running = executor.submit(
      [](mp::Event told, mp::Event waits_for) {
        told.set();
        waits_for.wait();
        return 1;
      },
      begun, go);
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(executor.submit(square, i));
  begun.wait();
  executor.shutdown({.wait = false, .cancel_futures = true});
  CHECK(std::all_of(futures.begin(), futures.end(), [](auto const& f) { return f.cancelled(); }));
  CHECK_FALSE(running.done());
  go.set();
  CHECK(running.result() == 1);
}

TEST_CASE("an executor that is dropped does what was submitted", "[process_pool_executor]") {
  std::vector<mp::Future<int>> futures;
  {
    mp::ProcessPoolExecutor executor({.max_workers = 2, .max_tasks_per_child = 1});
    for (int i = 0; i < 6; ++i) futures.push_back(executor.submit(square, i));
  }
  for (int i = 0; i < 6; ++i) CHECK(futures[static_cast<std::size_t>(i)].result() == square(i));
}

TEST_CASE("workers are ended at once, by either signal", "[process_pool_executor]") {
  for (bool const kills : {false, true}) {
    mp::ProcessPoolExecutor executor(2);
    mp::Event begun;
    auto const running = executor.submit(
        [](mp::Event told) {
          std::signal(SIGTERM, SIG_IGN);
          told.set();
          for (;;) ::pause();
        },
        begun);
    begun.wait();
    auto const pids = executor.worker_pids();
    kills ? executor.kill_workers() : executor.terminate_workers();
    CHECK_THROWS_AS(running.result(), mp::CancelledError);
    for (int const pid : pids) CHECK(::kill(pid, 0) == -1);
    CHECK_THROWS_AS(executor.submit(square, 1), mp::Error);
    executor.kill_workers();
  }
}

TEST_CASE("a worker is replaced after as many calls as it may do", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor({.max_workers = 1, .max_tasks_per_child = 3});
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < 9; ++i) futures.push_back(executor.submit(worker_pid));
  std::vector<int> pids;
  for (auto const& future : futures) pids.push_back(future.result());
  CHECK(std::set<int>(pids.begin(), pids.end()).size() == 3);
  CHECK(pids[0] == pids[2]);
  CHECK(pids[2] != pids[3]);
}

TEST_CASE("an initializer that fails breaks the executor, which says why",
          "[process_pool_executor]") {
  auto const why = [](mp::work::Initializer const& initializer) {
    mp::ProcessPoolExecutor executor({.max_workers = 2, .initializer = initializer});
    return support::message_of<mp::BrokenProcessPool>([&] { executor.submit(square, 1).result(); });
  };
  CHECK_THAT(why([] { throw std::runtime_error("no model"); }),
             ContainsSubstring("its initializer has thrown std::runtime_error: no model"));
  CHECK_THAT(why([] { mp::exit(3); }), ContainsSubstring("its initializer has exited with code 3"));
  CHECK_THAT(why([] { ::raise(SIGSEGV); }),
             ContainsSubstring("ends its process again and again") && ContainsSubstring("SIGSEGV"));
}

TEST_CASE("a copy that an initializer makes of its worker is none", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor({.max_workers = 1, .initializer = [] {
                                      if (::fork() < 0) std::abort();
                                    }});
  std::set<int> pids;
  for (int i = 0; i < 50; ++i) pids.insert(executor.submit(worker_pid).result());
  CHECK(pids.size() == 1);
}

TEST_CASE("a call of a child's is refused", "[process_pool_executor][fork]") {
  mp::ProcessPoolExecutor executor(1);
  mp::Process child([&] {
    try {
      executor.submit(square, 1);
    } catch (std::logic_error const&) {
      mp::exit(3);
    }
  });
  child.start();
  child.join();
  CHECK(child.exitcode() == 3);
  CHECK(executor.submit(square, 3).result() == 9);
}

TEST_CASE("an executor can be moved, and the one moved from says so", "[process_pool_executor]") {
  mp::ProcessPoolExecutor first(1);
  mp::ProcessPoolExecutor second(std::move(first));
  CHECK(second.submit(square, 2).result() == 4);
  CHECK_THROWS_AS(first.submit(square, 2), std::invalid_argument);  // NOLINT: on purpose
  second = mp::ProcessPoolExecutor(2);
  CHECK(second.worker_pids().size() == 2);
}

TEST_CASE("an executor in a worker works", "[process_pool_executor]") {
  mp::ProcessPoolExecutor executor(1);
  CHECK(executor
            .submit([] {
              mp::ProcessPoolExecutor inner(2);
              return inner.submit(square, 6).result();
            })
            .result() == 36);
}

TEST_CASE("when the owner is killed its workers are gone, whatever they ran or were to run",
          "[process_pool_executor]") {
  CHECK(support::all_end_with_their_parent([](support::Pipe& up) {
    static mp::ProcessPoolExecutor executor(3);
    static std::vector<mp::Future<void>> futures;
    mp::Value<int> runs(0);
    auto const run_for_ever = [](mp::Value<int> const& counted) {
      counted.update([](int& n) { ++n; });
      for (;;) std::this_thread::yield();
    };
    for (int i = 0; i < 1000; ++i) futures.push_back(executor.submit(run_for_ever, runs));
    futures.front().add_done_callback([](auto&&) {});  // so that there is a thread, too
    while (runs.value() < 3) std::this_thread::yield();
    up.tell();
  }));
}

}  // namespace process_pool_executor_test

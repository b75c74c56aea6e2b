// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/work/stop_request.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process_pool_executor.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/tasks.hpp"

namespace stop_request_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

/// Until it is to stop.
int work(mp::Event const& begun) {
  begun.set();
  while (!mp::stop_requested()) std::this_thread::yield();
  return 7;
}
int work_on(mp::Event const& begun) {
  work(begun);
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("nobody is to stop where no task runs", "[stop_request]") {
  CHECK(!mp::stop_requested());
}

TEST_CASE("a task is to stop when it is asked, and when its time comes", "[stop_request]") {
  mp::work::RunningTask running;
  mp::work::TaskEntry task;
  task.flags = mp::work::TaskEntry::kTellAll;
  running.begin(task);
  CHECK(!running.should_stop());
  task.flags |= mp::work::TaskEntry::kStop;
  CHECK(running.is_asked());
  CHECK(running.should_stop());
  running.end();
  CHECK(!running.should_stop());
  task.flags = 0;
  running.begin(task, mp::base::Deadline::after(1h));
  CHECK(!running.should_stop());
  running.begin(task, mp::base::Deadline::now());
  CHECK(running.is_late());
  CHECK(running.should_stop());
  running.end();
  CHECK(!running.should_stop());
}

TEST_CASE("a task that was asked to stop is not run again, however its run ends",
          "[stop_request]") {
  mp::Pool pool(1);
  mp::Event const begun;
  auto const die = [](mp::Event const& has_begun) {
    work(has_begun);
    ::raise(SIGKILL);
  };
  auto const group = pool.apply_async({.retries = 5}, die, begun);
  begun.wait();
  group.request_stop();
  CHECK_THROWS_AS(group.get(), mp::WorkerDied);
  begun.clear();
  auto const late = pool.apply_async(
      {.timeout = 10ms, .grace = 1h, .retries = 5, .retry_on = mp::RetryOn::timeout}, work_on,
      begun);
  begun.wait();
  late.request_stop();
  CHECK(late.cancel(mp::cancel_running));
}

TEST_CASE("a task in a pool of a task has its own reasons to stop", "[stop_request]") {
  mp::Pool pool(1);
  auto const ask_inside = [] {
    while (!mp::stop_requested()) std::this_thread::yield();
    mp::Pool inner(1);
    return inner.map([](int) { return mp::stop_requested() ? 1 : 0; }, std::vector{1}).at(0);
  };
  CHECK(pool.apply_async({.timeout = 10ms, .grace = 1h}, ask_inside).get() == 0);
}

TEST_CASE("a task that stops in its grace has a result", "[stop_request]") {
  mp::Pool pool(1);
  mp::Event const begun;
  CHECK(pool.apply_async({.timeout = 10ms, .grace = 1h}, work, begun).get() == 7);
}

TEST_CASE("a task that goes on is killed after its grace", "[stop_request]") {
  mp::ProcessPoolExecutor executor(1);
  mp::Event const begun;
  auto const begin = std::chrono::steady_clock::now();
  auto const late = executor.submit({.timeout = 10ms, .grace = 30ms}, work_on, begun);
  CHECK_THROWS_AS(late.result(), mp::TaskTimeout);
  CHECK(std::chrono::steady_clock::now() - begin >= 40ms);
}

TEST_CASE("what runs is asked to stop, and what does not is given up", "[stop_request]") {
  mp::Pool pool(1);
  mp::Event const begun;
  auto const runs = pool.apply_async(work, begun);
  auto const waits = pool.apply_async(work, begun);
  begun.wait();
  waits.request_stop();
  CHECK_THROWS_AS(waits.get(), mp::CancelledError);
  CHECK(!runs.ready());
  runs.request_stop();
  CHECK(runs.get() == 7);
  CHECK(pool.apply([] { return mp::stop_requested(); }) == false);
}

TEST_CASE("a future is asked to stop, also from a thread of its task", "[stop_request]") {
  mp::ProcessPoolExecutor executor(1);
  mp::Event const begun;
  auto const future = executor.submit(
      [](mp::Event const& has_begun) {
        int result = 0;
        std::thread([&] { result = work(has_begun); }).join();
        return result;
      },
      begun);
  begun.wait();
  future.request_stop();
  CHECK(future.result() == 7);
  future.request_stop();  // too late
  CHECK(future.result() == 7);
}

}  // namespace stop_request_test

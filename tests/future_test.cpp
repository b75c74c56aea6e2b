// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/future.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/process_pool_executor.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/wait.hpp>

#include "support/catch.hpp"
#include "support/coroutine.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/tasks.hpp"

namespace future_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::kill_self;
using support::square;

namespace {

int wait_for(mp::Event event, int result) {
  event.wait();
  return result;
}
int fail(int x) { throw std::out_of_range(std::to_string(x)); }

/// An executor of one worker, which is busy until told.
class Busy {
 public:
  Busy() : executor(1), first(executor.submit(&begin_and_wait, begun_, go)) { begun_.wait(); }
  ~Busy() { go.set(); }

 private:
  static int begin_and_wait(mp::Event begun, mp::Event go) {
    begun.set();
    go.wait();
    return 1;
  }
  mp::Event begun_;

 public:
  mp::Event go;
  mp::ProcessPoolExecutor executor;
  mp::Future<int> first;
};

bool is_readable(mp::Future<int> const& future) {
  return mp::os::poll_readable(future.fileno(), mp::base::Deadline::now());
}
/// Returns once the descriptor tells that it is done.
bool await_descriptor(mp::Future<int> const& future) {
  mp::os::poll_readable(future.fileno(), mp::base::Deadline::never());
  return future.done();
}

/// What a coroutine found, and where.
struct Found {
  int value = 0;
  std::string error;
  std::thread::id thread;
};
using FoundBox = mp::Queue<int>;  // tells that it has been filled in

support::Detached find(mp::Future<int> future, Found& found, FoundBox box) {
  try {
    found.value = co_await future;
  } catch (mp::WorkerDied const&) {
    found.error = "WorkerDied";
  } catch (mp::CancelledError const&) {
    found.error = "CancelledError";
  } catch (std::out_of_range const& error) {
    found.error = error.what();
  }
  found.thread = std::this_thread::get_id();
  box.put(1);
}

}  // namespace

TEST_CASE("a future is pending, running and done in turn", "[future]") {
  Busy busy;
  auto const next = busy.executor.submit(square, 4);
  CHECK(busy.first.running());
  CHECK_FALSE(busy.first.done());
  CHECK_FALSE(next.running());
  CHECK_FALSE(next.done());
  CHECK_THROWS_AS(busy.first.result(0s), mp::TimeoutError);
  CHECK_THROWS_AS(next.exception(1ms), mp::TimeoutError);
  CHECK_FALSE(next.wait_for(1ms));
  busy.go.set();
  CHECK(next.result() == 16);
  CHECK(next.result(1s) == 16);
  CHECK(next.exception() == nullptr);
  CHECK(busy.first.result() == 1);
  CHECK_FALSE(busy.first.running());
  CHECK(busy.first.done());
  CHECK_FALSE(busy.first.cancelled());
}

TEST_CASE("what a call throws is the future's exception", "[future]") {
  mp::ProcessPoolExecutor executor(1);
  auto const failed = executor.submit(fail, 3);
  CHECK_THROWS_AS(failed.result(), std::out_of_range);
  CHECK_THROWS_AS(std::rethrow_exception(failed.exception()), std::out_of_range);
  CHECK_THROWS_AS(std::rethrow_exception(failed.exception(1s)), std::out_of_range);
  auto const dead = executor.submit(kill_self, 3);
  CHECK_THROWS_AS(std::rethrow_exception(dead.exception()), mp::WorkerDied);
  auto const late = executor.submit({.timeout = 5ms}, [] {
    for (;;) ::pause();
  });
  CHECK_THROWS_AS(std::rethrow_exception(late.exception()), mp::TaskTimeout);
  CHECK(executor.submit(square, 2).result() == 4);
}

TEST_CASE("only what is pending is cancelled, unless the running are meant, too", "[future]") {
  Busy busy;
  auto const next = busy.executor.submit(square, 4);
  CHECK_FALSE(busy.first.cancel());
  CHECK(next.cancel());
  CHECK(next.cancel());
  CHECK(next.cancelled());
  CHECK(next.done());
  CHECK_FALSE(next.running());
  CHECK_THROWS_AS(next.result(), mp::CancelledError);
  CHECK_THROWS_AS(next.exception(), mp::CancelledError);
  CHECK(busy.first.cancel(mp::cancel_running));
  CHECK_THROWS_AS(busy.first.result(), mp::CancelledError);
  auto const last = busy.executor.submit(square, 5);
  CHECK(last.result() == 25);
  CHECK_FALSE(last.cancel());
}

TEST_CASE("callbacks are called once, in their order, whatever the end", "[future]") {
  Busy busy;
  mp::Queue<int> order;
  auto const done = busy.executor.submit(square, 4);
  auto const failed = busy.executor.submit(fail, 4);
  auto const given_up = busy.executor.submit(square, 4);
  done.add_done_callback([&](mp::Future<int> const& future) { order.put(future.result()); });
  done.add_done_callback([&](mp::Future<int> const&) { throw std::runtime_error("mine"); });
  done.add_done_callback([&](mp::Future<int> const&) { order.put(17); });
  failed.add_done_callback(
      [&](mp::Future<int> const& future) { order.put(future.exception() != nullptr ? 18 : 0); });
  given_up.add_done_callback(
      [&](mp::Future<int> const& future) { order.put(future.cancelled() ? 19 : 0); });
  given_up.cancel();
  CHECK(order.get() == 19);
  busy.go.set();
  CHECK(order.get() == 16);
  CHECK(order.get() == 17);
  CHECK(order.get() == 18);
  given_up.add_done_callback([&](mp::Future<int> const&) { order.put(20); });  // at once
  CHECK(order.get_nowait() == 20);
  given_up.add_done_callback([](mp::Future<int> const&) { throw 1; });
}

TEST_CASE("wait sorts futures by whether they are done, each once", "[future]") {
  Busy busy;
  mp::ProcessPoolExecutor other(1);
  auto const done = other.submit(square, 2);
  done.result();
  std::vector const futures{busy.first, done, busy.first, done};
  auto const [finished, pending] = mp::wait(futures, mp::FIRST_COMPLETED);
  CHECK(finished == std::vector{done});
  CHECK(pending == std::vector{busy.first});
  auto const late = mp::wait(futures, 1ms);
  CHECK(late.done == std::vector{done});
  CHECK(late.not_done == std::vector{busy.first});
  busy.go.set();
  auto const all = mp::wait(futures);
  CHECK(all.done.size() == 2);
  CHECK(all.not_done.empty());
  CHECK(mp::wait(std::vector<mp::Future<int>>()).done.empty());
}

TEST_CASE("wait ends with the first that is done, or fails", "[future]") {
  mp::ProcessPoolExecutor executor(2);
  mp::Event go;
  mp::Event other;
  std::vector const futures{executor.submit(wait_for, go, 1), executor.submit(wait_for, other, 2)};
  other.set();
  CHECK(mp::wait(futures, mp::FIRST_COMPLETED).done == std::vector{futures[1]});
  CHECK(mp::wait(futures, 1ms, mp::FIRST_EXCEPTION).done == std::vector{futures[1]});
  auto const failed = executor.submit(fail, 1);
  auto const sorted = mp::wait(std::vector{futures[0], failed}, mp::FIRST_EXCEPTION);
  CHECK(sorted.done == std::vector{failed});
  go.set();
  CHECK(mp::wait(futures, mp::FIRST_EXCEPTION).done.size() == 2);
}

TEST_CASE("a future that is cancelled is done, also for who waits", "[future]") {
  Busy busy;
  auto const next = busy.executor.submit(square, 4);
  next.cancel();
  CHECK(mp::wait(std::vector{next}).done.size() == 1);
  CHECK(mp::wait(std::vector{busy.first, next}, mp::FIRST_COMPLETED).done == std::vector{next});
}

TEST_CASE("futures come as they are done, each once", "[future]") {
  mp::ProcessPoolExecutor executor(2);
  std::vector<mp::Future<int>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(executor.submit(square, i));
  futures.push_back(futures.front());
  std::multiset<int> results;
  for (auto& future : mp::as_completed(futures)) results.insert(future.result());
  CHECK(results.size() == 100);
  CHECK(std::set<int>(results.begin(), results.end()).size() == 100);

  mp::Event go;
  std::vector const two{executor.submit(wait_for, go, 1), executor.submit(square, 3)};
  auto completed = mp::as_completed(two);
  CHECK(completed.next() == two[1]);
  go.set();
  CHECK(completed.next() == two[0]);
  CHECK(completed.next() == std::nullopt);
}

TEST_CASE("as_completed tells how many were not done in time", "[future]") {
  Busy busy;
  mp::ProcessPoolExecutor other(1);
  auto const done = other.submit(square, 2);
  done.result();
  auto completed =
      mp::as_completed(std::vector{busy.first, done, busy.executor.submit(square, 1)}, 1ms);
  CHECK(completed.next() == done);
  CHECK(support::message_of<mp::TimeoutError>([&] { completed.next(); }) ==
        "as_completed: 2 (of 3) futures unfinished");
}

TEST_CASE("a callback may wait for futures of several executors", "[future]") {
  Busy busy;
  mp::ProcessPoolExecutor other(1);
  mp::Queue<std::size_t> counts;
  auto const told = other.submit(square, 1);
  told.result();
  auto const next = other.submit(square, 2);
  auto const waited = busy.executor.submit(square, 3);
  busy.first.add_done_callback([&](mp::Future<int> const&) {
    counts.put(mp::wait(std::vector{waited, next}).done.size());
  });
  busy.go.set();
  CHECK(counts.get() == 2);
}

TEST_CASE("futures of several executors are waited for together", "[future]") {
  mp::ProcessPoolExecutor one(1);
  mp::ProcessPoolExecutor other(1);
  mp::Event go;
  mp::Event second;
  std::vector const futures{one.submit(wait_for, go, 1), other.submit(wait_for, second, 2)};
  CHECK(mp::wait(futures, 1ms, mp::FIRST_COMPLETED).done.empty());
  auto completed = mp::as_completed(futures);
  second.set();
  CHECK(completed.next() == futures[1]);
  go.set();
  CHECK(completed.next() == futures[0]);
}

TEST_CASE("a future's descriptor is readable from when it is done", "[future]") {
  Busy busy;
  auto const next = busy.executor.submit(square, 4);
  auto const copy = next;
  CHECK_FALSE(is_readable(next));
  CHECK_FALSE(is_readable(busy.first));
  CHECK(copy.fileno() == next.fileno());
  CHECK(busy.first.fileno() != next.fileno());
  busy.go.set();
  CHECK(await_descriptor(next));
  CHECK(next.result() == 16);
  CHECK(is_readable(copy));  // still
  auto const later = busy.executor.submit(square, 5);
  later.result();
  CHECK(is_readable(later));  // at once
}

TEST_CASE("a future's descriptor tells every end that there is", "[future]") {
  Busy busy;
  auto const pending = busy.executor.submit(square, 4);
  CHECK_FALSE(is_readable(pending));
  CHECK_FALSE(is_readable(busy.first));
  pending.cancel();
  CHECK(await_descriptor(pending));
  CHECK(busy.first.cancel(mp::cancel_running));
  CHECK(await_descriptor(busy.first));

  mp::ProcessPoolExecutor executor(1);
  CHECK(await_descriptor(executor.submit(fail, 3)));
  CHECK(await_descriptor(executor.submit(kill_self, 3)));
  auto const sleep = [] {
    for (;;) ::pause();
    return 1;
  };
  CHECK(await_descriptor(executor.submit({.timeout = 5ms}, sleep)));
  auto const terminated = executor.submit(sleep);
  CHECK_FALSE(is_readable(terminated));
  executor.terminate_workers();
  CHECK(is_readable(terminated));
}

TEST_CASE("a future's descriptor tells that the executor is broken", "[future]") {
  mp::ProcessPoolExecutor executor(1);
  mp::Event begun;
  auto const lost = executor.submit(
      [](mp::Event event) {
        event.set();
        for (;;) ::pause();
        return 1;
      },
      begun);
  begun.wait();
  CHECK_FALSE(is_readable(lost));
  for (auto const& process : support::process_group()) {
    if (process.command.starts_with("PoolNursery")) ::kill(process.pid, SIGKILL);
  }
  CHECK(await_descriptor(lost));
  CHECK_THROWS_AS(lost.result(), mp::BrokenProcessPool);
}

TEST_CASE("futures are waited for beside other things, by their descriptors", "[future]") {
  Busy busy;
  mp::Queue<int> queue;
  int const fd = busy.first.fileno();
  queue.put(1);
  CHECK(mp::wait({&queue, fd}) == std::vector<mp::Waitable>{&queue});
  queue.get();
  busy.go.set();
  CHECK(mp::wait({&queue, fd}) == std::vector<mp::Waitable>{fd});
}

TEST_CASE("a future's descriptor is closed with it", "[future]") {
  mp::ProcessPoolExecutor executor(1);
  auto const before = support::open_fds();
  {
    auto const future = executor.submit(square, 1);
    auto const unread = executor.submit(square, 2);
    CHECK(await_descriptor(future));
    unread.fileno();
    CHECK(support::open_fds() == before + 2);
  }
  executor.shutdown();  // the thread has forgotten them, too
  CHECK(support::open_fds() <= before);
}

TEST_CASE("a coroutine that awaits a future goes on where callbacks are called", "[future]") {
  Busy busy;
  FoundBox box;
  Found found;
  mp::Queue<int> called;
  std::thread::id thread;
  busy.first.add_done_callback([&](mp::Future<int> const&) {
    thread = std::this_thread::get_id();
    called.put(1);
  });
  find(busy.first, found, box);
  CHECK_FALSE(box.try_get());
  busy.go.set();
  called.get();
  box.get();
  CHECK(found.value == 1);
  CHECK(found.thread == thread);
  CHECK(thread != std::this_thread::get_id());

  Found at_once;
  find(busy.first, at_once, box);
  CHECK(box.get_nowait() == 1);
  CHECK(at_once.value == 1);
  CHECK(at_once.thread == std::this_thread::get_id());
}

TEST_CASE("a coroutine gets what the future throws", "[future]") {
  Busy busy;
  FoundBox box;
  Found failed;
  Found died;
  Found cancelled;
  find(busy.executor.submit(fail, 3), failed, box);
  find(busy.executor.submit(kill_self, 3), died, box);
  auto const pending = busy.executor.submit(square, 4);
  find(pending, cancelled, box);
  pending.cancel();
  busy.go.set();
  for (int i = 0; i < 3; ++i) box.get();
  CHECK(failed.error == "3");
  CHECK(died.error == "WorkerDied");
  CHECK(cancelled.error == "CancelledError");
}

TEST_CASE("a coroutine awaits one future after the other, and submits more", "[future]") {
  mp::ProcessPoolExecutor executor(2);
  mp::Queue<int> sums;
  auto const add_up = [](mp::ProcessPoolExecutor& on, mp::Queue<int> to) -> support::Detached {
    int sum = 0;
    for (int i = 0; i < 1000; ++i) sum += co_await on.submit(square, i % 10);
    co_await on.submit([] {});
    auto const owned = co_await on.submit([] { return std::make_unique<int>(5); });
    to.put(sum + *owned);
  };
  for (int i = 0; i < 3; ++i) add_up(executor, sums);
  for (int i = 0; i < 3; ++i) CHECK(sums.get() == 28'505);
}

TEST_CASE("a coroutine that goes on may end the executor", "[future]") {
  mp::Queue<int> told;
  std::optional<mp::ProcessPoolExecutor> executor(1);
  mp::Event go;
  auto const end = [](mp::Future<int> future, std::optional<mp::ProcessPoolExecutor>& whole,
                      mp::Queue<int> to) -> support::Detached {
    int const result = co_await future;
    whole.reset();
    to.put(result);
  };
  end(executor->submit(wait_for, go, 6), executor, told);
  go.set();
  CHECK(told.get() == 6);
  CHECK_FALSE(executor);
}

TEST_CASE("the end of an executor waits for coroutines that go on", "[future]") {
  std::atomic<int> value{0};
  {
    Busy busy;
    auto const store = [](mp::Future<int> future, std::atomic<int>& to) -> support::Detached {
      to = co_await future;
    };
    store(busy.first, value);
    busy.go.set();
  }
  CHECK(value == 1);
}

}  // namespace future_test

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/async_result.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queue.hpp>
#include <multiprocessing/shm/heap.hpp>

#include "support/catch.hpp"
#include "support/coroutine.hpp"
#include "support/helpers.hpp"
#include "support/leftovers.hpp"
#include "support/tasks.hpp"

namespace async_result_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using support::kill_self;
using support::numbers;
using support::square;
using support::squares;

namespace {

int wait_for(mp::Event event) {
  event.wait();
  return 1;
}
struct Unwritable {
  int number = 0;
  template <class Archive>
  void save(Archive& archive) const {
    if (number == 12) throw mp::PicklingError("item 12");
    archive(number);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(number);
  }
};

int fail(int x) { throw std::out_of_range("no " + std::to_string(x)); }

}  // namespace

TEST_CASE("a result is there later, as often as it is asked for", "[async_result]") {
  mp::Pool pool(2);
  auto const result = pool.apply_async(square, 7);
  CHECK(result.get() == 49);
  CHECK(result.get(1s) == 49);
  CHECK(result.ready());
  CHECK(result.successful());
  auto const nothing = pool.apply_async([] {});
  nothing.get();
  CHECK(nothing.successful());
  CHECK(*pool.apply_async([](int x) { return std::make_unique<int>(x); }, 5).get() == 5);
}

TEST_CASE("what is not there in time is no result yet", "[async_result]") {
  mp::Pool pool(1);
  mp::Event go;
  auto const result = pool.apply_async(wait_for, go);
  CHECK_FALSE(result.ready());
  CHECK_FALSE(result.wait_for(1ms));
  CHECK_FALSE(result.wait(0s));
  CHECK_FALSE(result.wait_until(std::chrono::steady_clock::now()));
  CHECK_THAT(support::message_of<mp::TimeoutError>([&] { result.get(1ms); }),
             ContainsSubstring("Pool.apply_async"));
  CHECK_THAT(
      support::message_of<std::invalid_argument>([&] { static_cast<void>(result.successful()); }),
      ContainsSubstring("Pool.apply_async"));
  go.set();
  CHECK(result.get() == 1);
}

TEST_CASE("an exception is thrown as itself, as often as it is asked for", "[async_result]") {
  mp::Pool pool(1);
  auto const result = pool.apply_async(fail, 3);
  for (int i = 0; i < 2; ++i) {
    CHECK(support::message_of<std::out_of_range>([&] { result.get(); }) == "no 3");
  }
  CHECK(result.ready());
  CHECK_FALSE(result.successful());
  try {
    result.get();
  } catch (...) {
    CHECK_THAT(mp::format_exception(std::current_exception()),
               ContainsSubstring("PoolWorker") && ContainsSubstring("Pool.apply_async"));
  }
}

TEST_CASE("arguments and results may be large, and hold shared objects", "[async_result]") {
  mp::Pool pool(2);
  std::string const text(3 << 20, 'x');
  CHECK(pool.apply_async([](std::string const& s) { return s + "y"; }, text).get() == text + "y");
  mp::Lock lock;
  mp::Queue<int> queue;
  auto const got = pool.apply_async(
      [](mp::Lock mutex, mp::Queue<int> out) {
        std::scoped_lock const guard(mutex);
        out.put(5);
        return out;
      },
      lock, queue);
  CHECK(queue.get() == 5);
  CHECK(got.get().qsize() == 0);
}

TEST_CASE("results of a map come together, in order", "[async_result]") {
  mp::Pool pool(2);
  CHECK(pool.map_async(square, numbers(1000)).get() == squares(1000));
  CHECK(pool.map_async({.chunksize = 7}, square, numbers(100)).get() == squares(100));
  CHECK(pool.map_async(square, std::list{3, 4}).get() == std::vector{9, 16});
  CHECK(pool.map_async(square, std::vector<int>()).get().empty());
  CHECK(pool.map_async(square, std::vector<int>()).ready());
  CHECK_FALSE(pool.map_async(square, std::vector<int>()).cancel());  // it has returned
  auto const nothing = pool.map_async([](int) {}, numbers(10));
  nothing.get();
  CHECK(nothing.successful());
  auto const truths = pool.map_async([](bool b) { return !b; }, std::vector{true, false, true});
  CHECK(truths.get() == std::vector{false, true, false});
  auto const sums = pool.starmap_async([](int a, double b) { return a + b; },
                                       std::vector<std::pair<int, double>>{{1, .5}, {2, 1}});
  CHECK(sums.get() == std::vector{1.5, 3.0});
}

TEST_CASE("of a map whose items can not all be written none runs", "[async_result]") {
  mp::Pool pool(1);
  mp::Queue<int> ran;
  std::vector<std::pair<Unwritable, mp::Queue<int>>> items;
  for (int i = 0; i < 20; ++i) items.push_back({{i}, ran});
  auto const run = [](std::pair<Unwritable, mp::Queue<int>> item) { item.second.put(1); };
  CHECK_THROWS_AS(pool.map_async({.chunksize = 1}, run, items), mp::PicklingError);
  pool.apply([] {});
  CHECK(ran.empty());
  auto range = pool.imap(run, items);
  for (int i = 0; i < 12; ++i) CHECK(range.next());
  CHECK_THROWS_AS(range.next(), mp::PicklingError);
  for (int i = 13; i < 20; ++i) CHECK(range.next());
  CHECK_FALSE(range.next());
}

TEST_CASE("of several failures in a map the first in order is thrown", "[async_result]") {
  mp::Pool pool(2);
  auto const result = pool.map_async(
      {.chunksize = 1}, [](int x) { return x % 2 == 1 ? fail(x) : x; }, numbers(10));
  CHECK(support::message_of<std::out_of_range>([&] { result.get(); }) == "no 1");
  try {
    result.get();
  } catch (...) {
    CHECK_THAT(mp::format_exception(std::current_exception()),
               ContainsSubstring("Pool.map_async, item 1 of 10"));
  }
}

TEST_CASE("the death of a worker costs the task that it ran, and no other", "[async_result]") {
  mp::Pool pool(2);
  std::vector<mp::AsyncResult<int>> results;
  for (int i = 0; i < 50; ++i) {
    results.push_back(pool.apply_async([](int x) { return x % 10 == 3 ? kill_self(x) : x; }, i));
  }
  for (int i = 0; i < 50; ++i) {
    if (i % 10 != 3) {
      CHECK(results[static_cast<std::size_t>(i)].get() == i);
      continue;
    }
    auto const& dead = results[static_cast<std::size_t>(i)];
    CHECK_THAT(
        support::message_of<mp::WorkerDied>([&] { dead.get(); }),
        ContainsSubstring("Pool.apply_async: worker process") && ContainsSubstring("SIGKILL"));
  }
}

TEST_CASE("a task is run again as often as it was told", "[async_result]") {
  mp::Pool pool(2);
  mp::Queue<int> tries;
  auto const survive = [](mp::Queue<int> out, std::size_t at) {
    out.put(1);
    return out.qsize() < at ? kill_self(0) : 7;
  };
  CHECK(pool.apply_async({.retries = 3}, survive, tries, std::size_t{4}).get() == 7);
  CHECK(tries.qsize() == 4);
  auto const often = pool.apply_async({.retries = 2}, survive, tries, std::size_t{1000});
  CHECK_THAT(support::message_of<mp::WorkerDied>([&] { often.get(); }),
             ContainsSubstring("2 before it had died, too"));
  CHECK(tries.qsize() == 7);
  CHECK_THROWS_AS(pool.apply_async({.retries = -1}, square, 1), std::invalid_argument);
}

TEST_CASE("an exception is no reason to run a task again", "[async_result]") {
  mp::Pool pool(1);
  mp::Queue<int> tries;
  auto const result = pool.apply_async(
      {.retries = 5},
      [](mp::Queue<int> out) {
        out.put(1);
        throw std::runtime_error("once");
      },
      tries);
  CHECK_THROWS_AS(result.get(), std::runtime_error);
  CHECK(tries.qsize() == 1);
}

TEST_CASE("a task that takes too long costs its worker, and no other task", "[async_result]") {
  mp::Pool pool(2);
  auto const slow = pool.apply_async({.timeout = 20ms}, [] {
    for (;;) ::pause();
  });
  std::vector<mp::AsyncResult<int>> others;
  for (int i = 0; i < 200; ++i) others.push_back(pool.apply_async({.timeout = 1h}, square, i));
  CHECK_THAT(support::message_of<mp::TaskTimeout>([&] { slow.get(); }),
             ContainsSubstring("Pool.apply_async") && ContainsSubstring("20 ms"));
  for (int i = 0; i < 200; ++i) CHECK(others[static_cast<std::size_t>(i)].get() == square(i));
  CHECK_THROWS_AS(pool.apply_async({.timeout = 0s}, square, 1), std::invalid_argument);
  try {
    slow.get();
  } catch (mp::TaskTimeout const& late) {
    CHECK(late.pid() > 0);
    CHECK(late.signal() == SIGKILL);
  }
}

TEST_CASE("what no worker has begun is given up, what runs only on request", "[async_result]") {
  mp::Pool pool(1);
  mp::Event begun;
  auto const running = pool.apply_async(
      [](mp::Event event) {
        event.set();
        for (;;) ::pause();
      },
      begun);
  auto const waiting = pool.apply_async(square, 2);
  begun.wait();
  CHECK_FALSE(running.cancel());
  CHECK(waiting.cancel());
  CHECK(waiting.cancel());
  CHECK_THROWS_AS(waiting.get(), mp::CancelledError);
  auto const next = pool.apply_async(square, 3);
  CHECK(running.cancel(mp::cancel_running));
  CHECK_THROWS_AS(running.get(), mp::CancelledError);
  CHECK(next.get() == 9);
  CHECK_FALSE(next.cancel());
  CHECK_FALSE(next.cancel(mp::cancel_running));
}

TEST_CASE("a callback gets the result, before anybody's wait ends", "[async_result]") {
  mp::Pool pool(2);
  for (int i = 0; i < 100; ++i) {
    std::atomic<int> got{0};
    auto const result = pool.apply_async({.callback = [&](int value) { got = value; }}, square, i);
    CHECK(result.get() == square(i));
    CHECK(got == square(i));
  }
  std::vector<int> all;
  pool.map_async({.callback = [&](std::vector<int> values) { all = std::move(values); }}, square,
                 numbers(10))
      .wait();
  CHECK(all == squares(10));
  bool called = false;
  pool.apply_async({.callback = [&] { called = true; }}, [] {}).wait();
  CHECK(called);
}

TEST_CASE("of both callbacks one is called, once", "[async_result]") {
  mp::Pool pool(2);
  int values = 0;
  int errors = 0;
  std::string text;
  auto const options = [&] {
    return mp::ApplyOptions{.callback = [&](int) { ++values; },
                            .error_callback =
                                [&](std::exception_ptr error) {
                                  ++errors;
                                  text = mp::format_exception(error);
                                }};
  };
  pool.apply_async(options(), fail, 1).wait();
  CHECK(values == 0);
  CHECK(errors == 1);
  CHECK_THAT(text, ContainsSubstring("std::out_of_range: no 1"));
  pool.apply_async(options(), kill_self, 1).wait();
  CHECK(errors == 2);
  CHECK_THAT(text, ContainsSubstring("WorkerDied"));
  pool.apply_async(options(), square, 1).wait();
  CHECK(values == 1);
  CHECK(errors == 2);
}

TEST_CASE("a callback that throws harms nobody", "[async_result]") {
  mp::Pool pool(1);
  auto const result =
      pool.apply_async({.callback = [](int) { throw std::runtime_error("mine"); }}, square, 3);
  CHECK(result.get() == 9);
  bool called = false;
  pool.apply_async({.callback = [&](int) { called = true; }}, square, 3).wait();
  CHECK(called);
}

TEST_CASE("a callback that takes something else is refused before anything runs",
          "[async_result]") {
  mp::Pool pool(1);
  CHECK_THAT(support::message_of<mp::TypeError>(
                 [&] { pool.apply_async({.callback = [](std::string const&) {}}, square, 3); }),
             ContainsSubstring("Pool.apply_async") && ContainsSubstring("the result is a int"));
}

TEST_CASE("a callback may use the pool", "[async_result]") {
  mp::Pool pool(1);
  std::optional<mp::AsyncResult<int>> second;
  auto const first = pool.apply_async(
      {.callback = [&](int value) { second = pool.apply_async(square, value); }}, square, 3);
  first.wait();
  CHECK(second->get() == 81);
}

TEST_CASE("a callback may end the pool: all others are told before its end", "[async_result]") {
  for (bool const terminates : {false, true}) {
    std::atomic<int> told{0};
    mp::Pool pool(1);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 10; ++i) {
      results.push_back(pool.apply_async({.callback =
                                              [&, terminates, i](int) {
                                                ++told;
                                                if (i != 2) return;
                                                pool.close();
                                                terminates ? pool.terminate() : pool.join();
                                              },
                                          .error_callback = [&](std::exception_ptr) { ++told; }},
                                         square, i));
    }
    for (auto const& result : results) result.wait();
    CHECK(told == 10);
  }
}

TEST_CASE("join waits for the callbacks", "[async_result]") {
  std::atomic<int> called{0};
  mp::Pool pool(2);
  for (int i = 0; i < 100; ++i) pool.apply_async({.callback = [&](int) { ++called; }}, square, i);
  pool.close();
  pool.join();
  CHECK(called == 100);
}

TEST_CASE("after terminate results are cancelled, and their callbacks are told", "[async_result]") {
  mp::Pool pool(1);
  int told = 0;
  mp::Event never;
  auto const running = pool.apply_async(wait_for, never);
  auto const waiting =
      pool.apply_async({.error_callback = [&](std::exception_ptr) { ++told; }}, square, 1);
  pool.terminate();
  CHECK_THROWS_AS(running.get(), mp::CancelledError);
  CHECK_THROWS_AS(waiting.get(), mp::CancelledError);
  CHECK(told == 1);
  CHECK_THROWS_AS(pool.apply_async(square, 1), std::invalid_argument);
}

TEST_CASE("a hundred thousand tasks that wait do not hold up terminate", "[async_result]") {
  constexpr int kTasks = support::kSanitized ? 10'000 : 100'000;
  mp::Pool pool(1);
  mp::Event never;
  std::vector<mp::AsyncResult<int>> results;
  results.push_back(pool.apply_async(wait_for, never));
  for (int i = 0; i < kTasks; ++i) results.push_back(pool.apply_async(square, i));
  pool.terminate();
  int cancelled = 0;
  for (auto const& result : results) {
    try {
      result.get();
    } catch (mp::CancelledError const&) {
      ++cancelled;
    }
  }
  CHECK(cancelled == kTasks + 1);
}

TEST_CASE("when the helper is killed nobody hangs", "[async_result]") {
  mp::Pool pool(1);
  mp::Event never;
  bool told = false;
  auto const result = pool.apply_async({.error_callback = [&](std::exception_ptr) { told = true; }},
                                       wait_for, never);
  for (auto const& process : support::process_group()) {
    if (process.command.starts_with("PoolNursery")) ::kill(process.pid, SIGKILL);
  }
  CHECK_THROWS_AS(result.get(), mp::BrokenProcessPool);
  CHECK(told);
  CHECK_THROWS_AS(pool.apply_async(square, 1), mp::BrokenProcessPool);
}

TEST_CASE("a result outlives its pool", "[async_result]") {
  std::optional<mp::AsyncResult<int>> result;
  {
    mp::Pool pool(1);
    result = pool.apply_async(square, 4);
  }
  CHECK(result->get() == 16);
}

TEST_CASE("results that nobody asks for leave nothing", "[async_result]") {
  auto& arena = mp::shm::Heap::instance().arena();
  mp::Pool pool(2);
  auto const echo = [](std::string const& text) { return text; };
  pool.apply(echo, std::string(1000, 'x'));
  auto const before = arena.used_blocks();
  for (int i = 0; i < 200; ++i) pool.apply_async(echo, std::string(1000, 'x'));
  for (int i = 0; i < 200; ++i) CHECK(pool.apply(echo, std::string(1000, 'y')).size() == 1000);
  pool.apply(square, 1);
  CHECK(arena.used_blocks() <= before + 2);  // of the last, that nobody has looked for since
}

TEST_CASE("a result that is kept does not keep the arguments", "[async_result]") {
  auto& arena = mp::shm::Heap::instance().arena();
  mp::Pool pool(1);
  auto const length = [](std::string const& text) { return text.size(); };
  pool.apply(length, std::string(1000, 'x'));
  auto const before = arena.used_blocks();
  std::vector<mp::AsyncResult<std::size_t>> kept;
  for (int i = 0; i < 50; ++i) kept.push_back(pool.apply_async(length, std::string(1000, 'x')));
  for (auto const& result : kept) CHECK(result.get() == 1000);
  CHECK(arena.used_blocks() == before);
}

namespace {
bool is_stopped(pid_t pid) {
  auto const all = support::process_group();
  return std::any_of(all.begin(), all.end(),
                     [=](auto const& each) { return each.pid == pid && each.state == 'T'; });
}
}  // namespace

TEST_CASE("a worker that is stopped while it has nothing to do holds up nobody", "[async_result]") {
  mp::Pool pool(2);
  for (int round = 0; round < 3; ++round) {
    for (int const pid : pool.worker_pids()) {
      ::kill(pid, SIGSTOP);
      while (!is_stopped(pid)) std::this_thread::yield();
      for (int i = 0; i < 5; ++i) CHECK(pool.apply_async(square, i).get() == square(i));
      auto results = pool.imap_unordered(square, numbers(10)).collect();
      CHECK(results.size() == 10);
      CHECK(pool.map(square, numbers(10)) == squares(10));
      std::promise<int> called;
      auto const result =
          pool.apply_async({.callback = [&](int x) { called.set_value(x); }}, square, round);
      CHECK(called.get_future().get() == square(round));
      result.wait();
      ::kill(pid, SIGCONT);
    }
  }
}

TEST_CASE("many threads submit and wait", "[async_result]") {
  mp::Pool pool(2);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += pool.apply(square, i) == square(i) ? 0 : 1;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a result is of no use to a child, nor harmed by it", "[async_result]") {
  mp::Pool pool(1);
  auto result = pool.apply_async({.callback = [](int) {}}, square, 5);
  result.wait();
  mp::Event go;
  auto const pending = pool.apply_async(wait_for, go);
  mp::Process child([copy = result, pending, &pool]() mutable {
    int refusals = 0;
    try {
      pool.apply_async(square, 1);
    } catch (std::logic_error const&) {
      ++refusals;
    }
    try {
      copy.get();
    } catch (std::logic_error const&) {
      ++refusals;
    }
    mp::exit(copy.cancel() || pending.cancel(mp::cancel_running) ? 7 : refusals);
  });
  child.start();
  child.join();
  CHECK(child.exitcode() == 2);
  CHECK(result.get() == 25);
  go.set();
  CHECK(pending.get() == 1);
}

TEST_CASE("a task that wants more memory than it may have has failed, and its worker goes on",
          "[async_result]") {
  if (support::kSanitized) return;  // they take it from the limit
  mp::Pool pool({.processes = 1, .max_memory_per_task = 16 << 20});
  auto const pid = pool.apply([] { return ::getpid(); });
  auto const take = [](std::size_t bytes) { return std::vector<char>(bytes, 'x').size(); };
  CHECK_THROWS_AS(pool.apply(take, std::size_t{64} << 20), mp::MemoryLimitExceeded);
  CHECK_THROWS_AS(pool.map(take, std::vector{std::size_t{64} << 20}), mp::MemoryLimitExceeded);
  CHECK(pool.apply(take, std::size_t{1} << 20) == std::size_t{1} << 20);
  CHECK(pool.apply([] { return ::getpid(); }) == pid);
}

TEST_CASE("a result's descriptor is readable once it is ready, its callback included",
          "[async_result]") {
  mp::Pool pool(1);
  mp::Event go;
  std::atomic<int> called{0};
  auto const result =
      pool.apply_async({.callback = [&](int value) { called = value; }}, wait_for, go);
  auto const mapped = pool.map_async({.chunksize = 2}, square, numbers(5));
  auto const is_readable = [](int fd, mp::base::Deadline deadline) {
    return mp::os::poll_readable(fd, deadline);
  };
  CHECK_FALSE(is_readable(result.fileno(), mp::base::Deadline::now()));
  CHECK_FALSE(is_readable(mapped.fileno(), mp::base::Deadline::now()));
  go.set();
  CHECK(is_readable(result.fileno(), mp::base::Deadline::never()));
  CHECK(result.ready());
  CHECK(called == 1);
  CHECK(is_readable(mapped.fileno(), mp::base::Deadline::never()));
  CHECK(mapped.get() == squares(5));
}

TEST_CASE("a coroutine awaits a result, after its callback", "[async_result]") {
  mp::Pool pool(1);
  mp::Event go;
  std::atomic<int> called{0};
  mp::Queue<int> told;
  auto const take = [](mp::AsyncResult<int> first, mp::AsyncResult<std::vector<int>> second,
                       std::atomic<int> const& calls, mp::Queue<int> to) -> support::Detached {
    int const value = co_await first;
    to.put(value + calls);
    to.put((co_await second).back());
    try {
      co_await second;
      to.put(co_await first);
    } catch (...) {
      to.put(-1);
    }
  };
  take(pool.apply_async({.callback = [&](int) { called = 10; }}, wait_for, go),
       pool.map_async({.chunksize = 1}, square, numbers(4)), called, told);
  go.set();
  CHECK(told.get() == 11);
  CHECK(told.get() == 9);
  CHECK(told.get() == 1);
}

}  // namespace async_result_test

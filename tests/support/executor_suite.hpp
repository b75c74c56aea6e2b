// SPDX-License-Identifier: BSL-1.0
// What every executor has to do, whatever its workers are: run by the tests of each.
//
// A Backend makes executors: Backend::make(workers) of so many workers, or more where it can not
// have less, as Backend::workers_of(executor) says; and Backend::make_small() whose tasks may
// allocate 64 MiB. All workers are on this machine, so tasks can tell what they did by files, and
// wait for a pipe.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiprocessing/executor.hpp>
#include <multiprocessing/pickle.hpp>

#include "catch.hpp"
#include "helpers.hpp"
#include "tasks.hpp"
#include "temporary_directory.hpp"

namespace support::executor_suite {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

/// Adds a line to the file, in whichever process. Returns how many there are.
inline int note(std::string const& path) {
  std::ofstream(path, std::ios::app) << ::getpid() << std::endl;
  std::ifstream file(path);
  int lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

/// A task that says that it has begun, and waits to be told.
struct Held {
  Pipe begun;
  Pipe go;

  template <class Executor>
  mp::Future<int> submit(Executor& executor) {
    auto const future = executor.submit(
        [](PipeElsewhere told, PipeElsewhere waits_for) {
          told.tell();
          waits_for.hear();
          return 1;
        },
        PipeElsewhere::of(begun), PipeElsewhere::of(go));
    begun.hear();
    return future;
  }
};

/// Calls that hold all workers of an executor.
template <class Backend>
struct AllHeld {
  Held held;
  std::vector<mp::Future<int>> futures;

  explicit AllHeld(auto& executor) {
    for (int i = 0; i < Backend::workers_of(executor); ++i) {
      futures.push_back(held.submit(executor));
    }
  }
  void let_go() const {
    for (std::size_t i = 0; i < futures.size(); ++i) held.go.tell();
  }
};

template <class Backend>
void runs_calls() {
  auto executor = Backend::make(2);
  CHECK(executor.submit(square, 9).result() == 81);
  CHECK(executor.submit(::getpid).result() != ::getpid());
  CHECK(executor.submit(greet, std::string("you")).result() == "hello you");
  CHECK(executor.submit([k = 3](int x) { return k * x; }, 5).result() == 15);
  CHECK(executor.submit(mp::bind(greet, std::string("me"))).result() == "hello me");
  executor.submit([] {}).result();
  std::string const large(9'000'000, 'x');
  auto const doubled = executor.submit([](std::string s) { return s + s; }, large).result();
  CHECK(doubled.size() == 2 * large.size());
  CHECK(doubled.find_first_not_of('x') == std::string::npos);
}

template <class Backend>
void maps_in_order() {
  auto executor = Backend::make(2);
  for (int const chunksize : {1, 3, 6, 40, 50}) {
    CHECK(executor.map({.chunksize = chunksize}, square, numbers(40)).collect() == squares(40));
  }
  CHECK_THROWS_AS(executor.map({.chunksize = -1}, square, numbers(1)), std::invalid_argument);
  CHECK_THROWS_AS(executor.map({.buffersize = 0}, square, numbers(1)), std::invalid_argument);
  CHECK(executor.map(square, numbers(5000)).collect() == squares(5000));
  int sum = 0;
  for (int x : executor.map({.buffersize = 2}, square, Made(kNoEnd))) {
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
  std::vector<std::pair<std::string, int>> const items{{"a", 2}, {"bc", 3}};
  auto const length = [](std::string const& text, int times) {
    return static_cast<int>(text.size()) * times;
  };
  CHECK(executor.starmap(length, items).collect() == std::vector{2, 6});
  CHECK_THROWS_AS(executor.map({.chunksize = -1}, square, numbers(1)), std::invalid_argument);
}

template <class Backend>
void passes_exceptions_on() {
  auto executor = Backend::make(1);
  auto const future = executor.submit([] {
    try {
      throw std::out_of_range("cause");
    } catch (...) {
      std::throw_with_nested(std::invalid_argument("text"));
    }
  });
  CHECK(message_of<std::invalid_argument>([&] { future.result(); }) == "text");
  CHECK_THAT(mp::format_exception(future.exception()),
             ContainsSubstring("std::invalid_argument: text\ncaused by std::out_of_range: cause\n"
                               "in process 'PoolWorker-") &&
                 ContainsSubstring("Executor.submit"));
  struct Unknown {};
  CHECK_THROWS_AS(executor.submit([] { throw Unknown(); }).result(), mp::RemoteError);
}

template <class Backend>
void survives_crashes() {
  auto executor = Backend::make(2);
  auto const crash = [](int signal) { std::raise(signal); };
  std::vector<mp::Future<void>> crashes;
  std::vector<mp::Future<int>> others;
  for (int i = 0; i < 40; ++i) {
    if (i % 10 == 5) crashes.push_back(executor.submit(crash, i % 20 == 5 ? SIGSEGV : SIGKILL));
    others.push_back(executor.submit(square, i));
  }
  for (auto const& future : crashes) {
    try {
      future.result();
      CHECK(false);
    } catch (mp::WorkerDied const& death) {
      CHECK((death.signal() == SIGSEGV || death.signal() == SIGKILL));
      CHECK(death.pid() > 0);
      CHECK_THAT(death.what(), ContainsSubstring("worker process " + std::to_string(death.pid())));
    }
  }
  for (int i = 0; i < 40; ++i) CHECK(others[static_cast<std::size_t>(i)].result() == square(i));
  CHECK_THROWS_AS(executor.submit([] { ::_exit(3); }).result(), mp::WorkerDied);
}

template <class Backend>
void ends_late_tasks() {
  auto executor = Backend::make(2);
  auto const late = executor.submit({.timeout = 20ms}, [] {
    for (;;) ::pause();
  });
  auto const soft = executor.submit({.timeout = 20ms, .grace = 1h}, [] {
    while (!mp::stop_requested()) ::sched_yield();
    return 5;
  });
  CHECK_THROWS_AS(late.result(), mp::TaskTimeout);
  CHECK(soft.result() == 5);
  CHECK(executor.submit({.timeout = 1h}, square, 3).result() == 9);
}

template <class Backend>
void limits_memory() {
  if (support::kSanitized) return;  // they take it from the limit, and end who has too little
  auto executor = Backend::make_small();
  auto const use = [](std::size_t bytes) {
    std::string const text(bytes, 'x');
    return text.size();
  };
  CHECK_THROWS_AS(executor.submit(use, std::size_t{1} << 30).result(), mp::MemoryLimitExceeded);
  CHECK(executor.submit(use, std::size_t{1000}).result() == 1000);
}

template <class Backend>
void tries_again() {
  TemporaryDirectory const directory;
  auto executor = Backend::make(2);
  auto const flaky = [](std::string const& path, int bad_runs, bool crashes) {
    int const runs = note(path);
    if (runs > bad_runs) return runs;
    if (crashes) std::raise(SIGKILL);
    throw std::runtime_error("not yet");
  };
  auto const path = [&](char const* name) { return directory.path(name); };
  CHECK(executor.submit({.retries = 3}, flaky, path("a"), 2, true).result() == 3);
  CHECK_THROWS_AS(executor.submit({.retries = 1}, flaky, path("b"), 2, true).result(),
                  mp::WorkerDied);
  CHECK(note(path("b")) == 3);
  CHECK(executor
            .submit({.retries = 3, .retry_on = mp::RetryOn::exception, .backoff = 1ms}, flaky,
                    path("c"), 2, false)
            .result() == 3);
  CHECK_THROWS_AS(executor.submit({.retries = 3}, flaky, path("d"), 2, false).result(),
                  std::runtime_error);
  auto const both = [](std::string const& file) {
    int const runs = note(file);
    if (runs == 1) throw std::runtime_error("first");
    if (runs == 2) std::raise(SIGKILL);
    if (runs == 3) throw std::runtime_error("third");
    return runs;
  };
  auto const any = mp::RetryOn::crash | mp::RetryOn::exception;
  CHECK(executor.submit({.retries = 3, .retry_on = any}, both, path("e")).result() == 4);
  CHECK_THROWS_AS(executor.submit({.retries = 2, .retry_on = any}, both, path("f")).result(),
                  std::runtime_error);
  CHECK(note(path("f")) == 4);
}

template <class Backend>
void tells_what_is_done() {
  auto executor = Backend::make(2);
  Held held;
  auto const slow = held.submit(executor);
  CHECK(slow.running());
  CHECK_FALSE(slow.done());
  CHECK_THROWS_AS(slow.result(1ms), mp::TimeoutError);
  std::vector<mp::Future<int>> futures{slow};
  for (int i = 0; i < 20; ++i) futures.push_back(executor.submit(square, i));
  auto const some = mp::wait(futures, mp::FIRST_COMPLETED);
  CHECK_FALSE(some.done.empty());
  CHECK(some.done.size() + some.not_done.size() == futures.size());
  int seen = 0;
  for (auto& future : mp::as_completed(futures)) {
    CHECK(future.done());
    if (++seen == 20) {
      CHECK_FALSE(slow.done());
      held.go.tell();
    }
  }
  CHECK(seen == 21);
  CHECK(slow.result() == 1);
  CHECK(mp::wait(futures).not_done.empty());
}

template <class Backend>
void calls_back() {
  auto executor = Backend::make(1);
  std::atomic<int> sum{0};
  for (int i = 0; i < 10; ++i) {
    executor.submit(square, i).add_done_callback(
        [&](mp::Future<int> const& future) { sum += future.result(); });
  }
  Held held;
  auto const future = held.submit(executor);
  pollfd fds[] = {{future.fileno(), POLLIN, 0}};
  CHECK(::poll(fds, 1, 0) == 0);
  held.go.tell();
  CHECK(::poll(fds, 1, -1) == 1);
  CHECK(future.done());
  executor.shutdown();
  CHECK(sum == 285);
}

template <class Backend>
void cancels() {
  auto executor = Backend::make(1);
  AllHeld<Backend> const held(executor);
  std::vector<mp::Future<int>> waiting;
  for (int i = 0; i < 30; ++i) waiting.push_back(executor.submit(square, i));
  CHECK(waiting.back().cancel());
  CHECK(waiting.back().cancelled());
  CHECK_THROWS_AS(waiting.back().result(), mp::CancelledError);
  for (auto const& running : held.futures) {
    CHECK_FALSE(running.cancel());
    CHECK(running.cancel(mp::cancel_running));
    CHECK_THROWS_AS(running.result(), mp::CancelledError);
  }
  for (int i = 0; i < 29; ++i) CHECK(waiting[static_cast<std::size_t>(i)].result() == square(i));
  Pipe begun;
  auto const polite = executor.submit(
      [](PipeElsewhere told) {
        told.tell();
        while (!mp::stop_requested()) ::sched_yield();
        return 6;
      },
      PipeElsewhere::of(begun));
  begun.hear();
  polite.request_stop();
  CHECK(polite.result() == 6);
}

template <class Backend>
void forgets_what_was_given_up() {
  auto executor = Backend::make(2);
  Pipe begun;
  for (int i = 0; i < 8; ++i) {
    {
      auto const endless = executor.submit(
          [](PipeElsewhere told) {
            told.tell();
            for (;;) ::pause();
          },
          PipeElsewhere::of(begun));
      begun.hear();
      CHECK(endless.cancel(mp::cancel_running));
    }
    CHECK(executor.submit(square, i).result() == square(i));  // in the same place of the board
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, random = std::minstd_rand(t + 1)]() mutable {
      for (int i = 0; i < 300; ++i) {
        auto const future = executor.submit(square, i);
        if (random() % 4 == 0 && future.cancel(mp::cancel_running)) continue;
        if (random() % 16 == 0 && future.result() != square(i)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  executor.shutdown();
}

template <class Backend>
void shuts_down() {
  {
    auto executor = Backend::make(2);
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 200; ++i) futures.push_back(executor.submit(square, i));
    executor.shutdown();
    executor.shutdown();
    for (auto const& future : futures) CHECK(future.done());
    CHECK(futures.back().result() == square(199));
    CHECK_THAT(message_of<mp::Error>([&] { executor.submit(square, 1); }),
               ContainsSubstring("submit: cannot schedule new futures after shutdown"));
  }
  {
    auto executor = Backend::make(1);
    AllHeld<Backend> const held(executor);
    auto const& running = held.futures.back();
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 2000; ++i) futures.push_back(executor.submit(square, i));
    executor.shutdown({.wait = false, .cancel_futures = true});
    // All that a worker has not begun; a rank may have been given some.
    CHECK(futures.back().cancelled());
    CHECK_FALSE(executor.shutdown_for(1ms));
    CHECK_FALSE(running.done());
    held.let_go();
    CHECK(running.result() == 1);
    CHECK(executor.shutdown_for(1h));
    for (auto const& future : futures) CHECK(future.done());
  }
  std::optional<mp::Future<int>> kept;
  {
    auto executor = Backend::make(2);
    for (int i = 0; i < 50; ++i) kept = executor.submit(square, i);
  }
  CHECK(kept->result() == square(49));
}

template <class Backend>
void ends_at_once() {
  for (bool const kills : {false, true}) {
    auto executor = Backend::make(1);
    AllHeld<Backend> const held(executor);
    auto const& running = held.futures.back();
    auto const waiting = executor.submit(square, 1);
    kills ? executor.kill_workers() : executor.terminate_workers();
    CHECK_THROWS_AS(running.result(), mp::CancelledError);
    CHECK_THROWS_AS(waiting.result(), mp::CancelledError);
    CHECK_THROWS_AS(executor.submit(square, 1), mp::Error);
  }
  std::optional<mp::Future<int>> held_up;
  Held held;
  try {
    auto executor = Backend::make(1);
    held_up = held.submit(executor);
    throw std::runtime_error("unwinding");
  } catch (std::runtime_error const&) {
  }
  CHECK_THROWS_AS(held_up->result(), mp::CancelledError);
}

template <class Backend>
void may_be_several() {
  auto first = Backend::make(1);
  auto second = Backend::make(1);
  Held held;
  auto const slow = held.submit(first);
  CHECK(second.map(square, numbers(100)).collect() == squares(100));
  auto third = std::move(second);
  CHECK(third.submit(square, 4).result() == 16);
  CHECK_THROWS_AS(second.submit(square, 4), std::invalid_argument);  // NOLINT: on purpose
  held.go.tell();
  CHECK(slow.result() == 1);
}

struct Case {
  char const* outcome;
  void (*body)();
};

template <class Backend>
std::vector<Case> cases() {
  return {{"calls run in workers", &runs_calls<Backend>},
          {"map is lazy, in order, and tells failures at their place", &maps_in_order<Backend>},
          {"exceptions arrive as themselves", &passes_exceptions_on<Backend>},
          {"a crash costs its own call", &survives_crashes<Backend>},
          {"late tasks are ended", &ends_late_tasks<Backend>},
          {"a task has as much memory as it may", &limits_memory<Backend>},
          {"what failed is run again as often as it may be", &tries_again<Backend>},
          {"who waits is told what is done", &tells_what_is_done<Backend>},
          {"callbacks are called, descriptors become readable", &calls_back<Backend>},
          {"what is given up is not run, or not to its end", &cancels<Backend>},
          {"what is given up leaves no trace", &forgets_what_was_given_up<Backend>},
          {"what was submitted is done, or cancelled, at shutdown", &shuts_down<Backend>},
          {"workers are ended at once", &ends_at_once<Backend>},
          {"several executors do not disturb each other", &may_be_several<Backend>}};
}

/// Within a TEST_CASE.
template <class Backend>
void run() {
  for (auto const& [outcome, body] : cases<Backend>()) {
    DYNAMIC_SECTION(outcome) { body(); }
  }
}

}  // namespace support::executor_suite

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/futex.hpp>

#include <array>
#include <thread>
#include <vector>

#include <multiprocessing/os/thread.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace futex_test {

namespace os = multiprocessing::os;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {
/// Runs `body` in a thread; returns once it sleeps in the kernel.
template <class Body>
std::jthread asleep_in(Body body) {
  std::atomic<pid_t> id{0};
  std::jthread thread([&id, body] {
    id = os::this_thread_id();
    body();
  });
  while (id == 0) std::this_thread::yield();
  support::wait_until_asleep(id);
  return thread;
}

/// Threads that sleep on `word` until they are woken once.
std::vector<std::jthread> sleepers_on(os::FutexWord const& word, int count) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < count; ++i) {
    threads.push_back(asleep_in([&word, value = word.load()] {
      static_cast<void>(os::futex_wait(word, value, Deadline::never()));
    }));
  }
  return threads;
}

/// Wakes all who sleep; how many there were.
long wake_all(os::FutexWord const& word) {
  return ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}
}  // namespace

TEST_CASE("a futex wait returns at once when the word has changed", "[futex]") {
  os::FutexWord word{1};
  CHECK(os::futex_wait(word, 0, Deadline::never()) == os::FutexResult::MaybeChanged);
}

TEST_CASE("a futex wait ends at its deadline, not before", "[futex]") {
  os::FutexWord word{1};
  auto const deadline = Deadline::after(20ms);
  auto result = os::FutexResult::MaybeChanged;
  while (result == os::FutexResult::MaybeChanged) result = os::futex_wait(word, 1, deadline);
  CHECK(result == os::FutexResult::TimedOut);
  CHECK(deadline.passed());
}

TEST_CASE("either of two words ends a wait for both", "[futex]") {
  os::FutexWord first{0};
  os::FutexWord second{0};
  auto const wait = [&](Deadline deadline) {
    os::FutexExpectation const words[] = {{&first, 0}, {&second, 0}};
    return os::futex_wait_any(words, deadline);
  };
  if (wait(Deadline::after(0s)) == os::FutexResult::Unsupported) {
    WARN("this kernel has no futex_waitv");
    return;
  }
  for (auto* word : {&first, &second}) {
    std::thread waker([word] {
      word->store(1);
      os::futex_wake(*word);
    });
    while (word->load() == 0) static_cast<void>(wait(Deadline::never()));
    waker.join();
    CHECK(wait(Deadline::never()) == os::FutexResult::MaybeChanged);
    word->store(0);
  }
  auto const deadline = Deadline::after(20ms);
  auto result = os::FutexResult::MaybeChanged;
  while (result == os::FutexResult::MaybeChanged) result = wait(deadline);
  CHECK(result == os::FutexResult::TimedOut);
  CHECK(deadline.passed());
}

TEST_CASE("one of as many words as can be ends a wait for all", "[futex]") {
  std::array<os::FutexWord, os::kMostFutexWords> words{};
  std::array<os::FutexExpectation, os::kMostFutexWords> expectations;
  for (std::size_t i = 0; i < words.size(); ++i) expectations[i] = {&words[i], 0};
  if (os::futex_wait_any(expectations, Deadline::after(0s)) == os::FutexResult::Unsupported) {
    WARN("this kernel has no futex_waitv");
    return;
  }
  auto result = os::FutexResult::TimedOut;
  std::thread sleeper([&] { result = os::futex_wait_any(expectations, Deadline::never()); });
  while (wake_all(words.back()) == 0) std::this_thread::yield();
  sleeper.join();
  CHECK(result == os::FutexResult::MaybeChanged);
  words.back() = 1;
  CHECK(os::futex_wait_any(expectations, Deadline::never()) == os::FutexResult::MaybeChanged);
}

TEST_CASE("a wake wakes as many as it is asked to", "[futex]") {
  os::FutexWord word{0};
  auto const sleepers = sleepers_on(word, 3);
  os::futex_wake(word, 1);
  CHECK(wake_all(word) == 2);
}

TEST_CASE("a change and its wake are one step for all who sleep", "[futex]") {
  for (std::uint32_t const before : {0U, 4U}) {
    os::FutexWord word{before};
    auto const sleepers = sleepers_on(word, 3);
    os::futex_change_and_wake(word, os::FutexChange::Add, 1);
    CHECK(word == before + 1);
    CHECK(wake_all(word) == 0);
  }
}

TEST_CASE("a change wakes as many as it is asked to whatever the word was", "[futex]") {
  for (auto const change : {os::FutexChange::Add, os::FutexChange::Or}) {
    for (std::uint32_t const before : {4U, 0U, 0x80000000U}) {
      os::FutexWord word{before};
      auto const sleepers = sleepers_on(word, 3);
      os::futex_change_and_wake(word, change, 2, 1);
      CHECK(word == before + 2);
      CAPTURE(before);
      CHECK(wake_all(word) == 2);
    }
  }
}

TEST_CASE("a word that nobody sleeps on changes too and errno is kept", "[futex]") {
  os::FutexWord word{0};
  errno = EDOM;
  os::futex_change_and_wake(word, os::FutexChange::Add, 2047);
  CHECK(word == 2047);
  os::futex_change_and_wake(word, os::FutexChange::Or, 1);
  CHECK(word == 2047);
  os::futex_change_and_wake(word, os::FutexChange::Add, 1, 1);
  os::futex_change_and_wake(word, os::FutexChange::Or, 1024);
  CHECK(word == 3072);
  os::futex_wake(word);
  CHECK(errno == EDOM);
  os::futex_change_and_wake(*reinterpret_cast<os::FutexWord*>(4096), os::FutexChange::Or, 1);
  CHECK(errno == EDOM);  // also where the kernel refuses
}

}  // namespace futex_test

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/counter.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"
#include "../support/system_calls.hpp"

namespace counter_test {

using multiprocessing::base::Deadline;
using multiprocessing::sync::Counter;
using namespace std::chrono_literals;

TEST_CASE("a counter lets as many in as it says", "[counter][threads][stress]") {
  Counter counter(2, Counter::kLargest);
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 10'000);
  std::atomic<int> inside{0};
  std::atomic<bool> too_many{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (long n = 0; n < rounds; ++n) {
        counter.acquire(Deadline::never());
        if (++inside > 2) too_many = true;
        --inside;
        counter.release();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(too_many);
  CHECK(counter.value() == 2);
}

TEST_CASE("nothing is lost between those who raise it and those who lower it",
          "[counter][threads][stress]") {
  Counter counter(0, Counter::kLargest);
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 10'000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (long n = 0; n < rounds; ++n) counter.release();
    });
    threads.emplace_back([&] {
      for (long n = 0; n < rounds; ++n) counter.acquire(Deadline::never());
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(counter.value() == 0);
}

TEST_CASE("a bound is kept", "[counter]") {
  Counter counter(1, 1);
  CHECK_FALSE(counter.release());
  CHECK(counter.try_acquire());
  CHECK(counter.release());
  CHECK_FALSE(counter.release());
}

TEST_CASE("a bound is kept when the mark of a waiter is all that is left of it",
          "[counter][threads]") {
  for (int round = 0; round < 300; ++round) {
    Counter counter(0, 1);
    CHECK_FALSE(counter.acquire(Deadline::after(std::chrono::nanoseconds(1))));
    std::thread other([&] { static_cast<void>(counter.release()); });
    static_cast<void>(counter.release());
    other.join();
    REQUIRE(counter.value() == 1);
  }
}

TEST_CASE("who stands still in front keeps the counter from nobody", "[counter]") {
  support::InSharedMemory<Counter> const counter(0U, 10U);
  support::RawChild first([&] { counter->acquire(Deadline::never()); });
  support::wait_until_asleep(first.pid());
  first.stop();
  support::RawChild second([&] { return counter->acquire(Deadline::never()) ? 0 : 1; });
  support::wait_until_asleep(second.pid());
  counter->release();
  CHECK(second.wait() == 0);
}

TEST_CASE("a sleeper that was killed does not make the kernel's work for ever", "[counter]") {
  support::InSharedMemory<Counter> const counter(0U, 10U);
  {
    support::RawChild sleeper([&] { counter->acquire(Deadline::never()); });
    support::wait_until_asleep(sleeper.pid());
  }
  counter->release();
  CHECK(counter->acquire(Deadline::never()));  // clears what the dead one left
  CHECK(support::system_calls_of([&] {
          for (int i = 0; i < 100; ++i) {
            counter->release();
            counter->acquire(Deadline::never());
          }
        }) == 0);
}

TEST_CASE("when the first in the queue is killed the next one comes to the front", "[counter]") {
  support::InSharedMemory<Counter> const counter(0U, 10U);
  support::RawChild first([&] { counter->acquire(Deadline::never()); });
  support::wait_until_asleep(first.pid());
  support::RawChild second([&] { return counter->acquire(Deadline::never()) ? 0 : 1; });
  support::wait_until_asleep(second.pid());
  CHECK_FALSE(counter->acquire(Deadline::after(2ms)));
  first.kill();
  first.wait();
  counter->release();
  CHECK(second.wait() == 0);
}

}  // namespace counter_test

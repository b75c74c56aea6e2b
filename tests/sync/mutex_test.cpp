// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/mutex.hpp>

#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace mutex_test {

using multiprocessing::base::Deadline;
using multiprocessing::sync::Mutex;
using namespace std::chrono_literals;

TEST_CASE("a mutex keeps threads apart, spinning and parked", "[mutex][threads][stress]") {
  for (auto const kind : {Mutex::Kind::Plain, Mutex::Kind::Recursive}) {
    Mutex mutex(kind);
    long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
    long guarded = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (long n = 0; n < rounds; ++n) {
          mutex.acquire(Deadline::never());
          ++guarded;
          mutex.release();
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(guarded == 4 * rounds);
  }
}

TEST_CASE("all levels are released at once, and come back", "[mutex]") {
  Mutex mutex(Mutex::Kind::Recursive);
  CHECK(mutex.release_all() == 0);
  for (int i = 0; i < 3; ++i) CHECK(mutex.acquire(Deadline::never()));
  CHECK(mutex.levels() == 3);
  CHECK(mutex.release_all() == 3);
  CHECK(mutex.owner() == 0);
  mutex.acquire_all(3);
  CHECK(mutex.held_by_this_thread());
  CHECK(mutex.release_all() == 3);
}

TEST_CASE("a recovery is remembered to the last level of whoever recovered", "[mutex]") {
  support::InSharedMemory<Mutex> const mutex(Mutex::Kind::Recursive);
  support::RawChild([&] { mutex->acquire(Deadline::never()); }).wait();
  CHECK(mutex->try_acquire());
  CHECK(mutex->acquire(Deadline::never()));
  CHECK(mutex->recovered());
  CHECK(mutex->release());
  CHECK(mutex->recovered());
  support::RawChild([&] { static_cast<void>(mutex->release()); }).wait();  // who does not hold it
  CHECK(mutex->recovered());
  CHECK(mutex->release());
  CHECK_FALSE(mutex->recovered());
  CHECK_FALSE(mutex->release());
}

TEST_CASE("who lets go of it without a release is as one who died", "[mutex]") {
  Mutex mutex(Mutex::Kind::Recursive);
  CHECK(mutex.let_go());
  CHECK(mutex.try_acquire());
  CHECK_FALSE(mutex.recovered());
  CHECK(mutex.try_acquire());
  CHECK(mutex.let_go());
  CHECK(mutex.owner() == 0);
  CHECK(mutex.try_acquire());
  CHECK(mutex.recovered());
  CHECK(mutex.release());
  CHECK_FALSE(mutex.recovered());
}

TEST_CASE("a wait for itself ends at its deadline", "[mutex]") {
  Mutex mutex(Mutex::Kind::Plain);
  CHECK(mutex.acquire(Deadline::never()));
  auto const deadline = Deadline::after(5ms);
  CHECK_FALSE(mutex.acquire(deadline));
  CHECK(deadline.passed());
  CHECK_THROWS_AS(mutex.acquire(Deadline::never()), std::system_error);
  CHECK(mutex.release());
}

}  // namespace mutex_test

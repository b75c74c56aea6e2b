// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/serve/object_lock.hpp>

#include <atomic>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "../support/catch.hpp"

namespace object_lock_test {

using multiprocessing::serve::ObjectLock;

namespace {
bool would_never_end(ObjectLock& lock) {
  try {
    std::lock_guard const guard(lock);
    return false;
  } catch (std::system_error const& error) {
    return error.code() == std::errc::resource_deadlock_would_occur;
  }
}
}  // namespace

TEST_CASE("one thread after the other has it", "[object_lock]") {
  ObjectLock lock;
  int count = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5000; ++j) {
        std::lock_guard const guard(lock);
        ++count;
      }
    });
  }
  threads.clear();
  CHECK(count == 20'000);
}

TEST_CASE("who has it is not let to wait for it", "[object_lock]") {
  ObjectLock lock;
  std::lock_guard const guard(lock);
  CHECK(would_never_end(lock));
}

TEST_CASE("of threads that would wait for each other one is told, however many they are",
          "[object_lock]") {
  for (int const count : {2, 3, 7}) {
    std::vector<ObjectLock> locks(static_cast<std::size_t>(count));
    std::latch all_have_one(count);
    std::atomic<int> told{0};
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < locks.size(); ++i) {
      threads.emplace_back([&, i] {
        std::lock_guard const own(locks[i]);
        all_have_one.arrive_and_wait();
        told += would_never_end(locks[(i + 1) % locks.size()]) ? 1 : 0;
      });
    }
    threads.clear();
    CHECK(told == 1);
  }
}

}  // namespace object_lock_test

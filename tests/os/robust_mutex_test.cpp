// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/os/robust_mutex.hpp>

#include <chrono>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"

namespace robust_mutex_test {

namespace os = multiprocessing::os;
using Kind = os::RobustMutex::Kind;
using multiprocessing::base::Deadline;
using namespace std::chrono_literals;

namespace {
using SharedMutex = support::InSharedMemory<os::RobustMutex>;

/// A child that has locked `mutex` so many times, and waits to be killed.
class Holder {
 public:
  explicit Holder(SharedMutex const& mutex, int depth = 1)
      : child_([&] {
          for (int i = 0; i < depth; ++i) static_cast<void>(mutex->lock());
          locked_.tell();
          for (;;) ::pause();
        }) {
    locked_.hear();
  }
  pid_t pid() const { return child_.pid(); }
  void kill() {
    child_.kill();
    child_.wait();
  }

 private:
  support::Pipe locked_;
  support::RawChild child_;
};
}  // namespace

TEST_CASE("a killed holder hands the mutex on, every time, and the next one knows",
          "[robust_mutex]") {
  SharedMutex const mutex;
  for (int round = 0; round < 3; ++round) {
    Holder holder(mutex);
    CHECK((mutex->word().load() & FUTEX_TID_MASK) == static_cast<unsigned>(holder.pid()));
    holder.kill();
    CHECK((mutex->word().load() & FUTEX_OWNER_DIED) != 0);
    CHECK(mutex->lock() == os::Acquired::Recovered);
    mutex->unlock();
    CHECK(mutex->lock() == os::Acquired::Clean);
    mutex->unlock();
  }
}

TEST_CASE("a plain mutex is not locked twice by its holder", "[robust_mutex]") {
  SharedMutex const mutex;
  CHECK(mutex->lock() == os::Acquired::Clean);
  CHECK(mutex->held_by_this_thread());
  for (auto const deadline : {Deadline::never(), Deadline::after(1h)}) {
    try {
      static_cast<void>(mutex->lock_until(deadline));
      FAIL("locked twice");
    } catch (std::system_error const& error) {
      CHECK(error.code() == std::errc::resource_deadlock_would_occur);
    }
  }
  CHECK(mutex->try_lock() == std::nullopt);
  CHECK(mutex->try_unlock());
  CHECK_FALSE(mutex->held_by_this_thread());
  CHECK_FALSE(mutex->try_unlock());
}

TEST_CASE("a plain mutex is locked once", "[robust_mutex]") {
  SharedMutex const mutex;
  CHECK(mutex->lock() == os::Acquired::Clean);
  CHECK(mutex->depth() == 1);
  mutex->unlock();
}

TEST_CASE("a recursive mutex counts how often its holder has locked it", "[robust_mutex]") {
  SharedMutex const mutex(Kind::Recursive);
  CHECK(mutex->lock() == os::Acquired::Clean);
  CHECK(mutex->depth() == 1);
  CHECK(mutex->try_lock() == os::Acquired::Clean);
  CHECK(mutex->lock_until(Deadline::after(0s)) == os::Acquired::Clean);
  for (unsigned depth = 3; depth > 0; --depth) {
    CHECK(mutex->depth() == depth);
    CHECK(mutex->owner() == ::getpid());
    CHECK(mutex->try_unlock());
  }
  CHECK(mutex->owner() == 0);
  CHECK_FALSE(mutex->try_unlock());
}

TEST_CASE("only the holder unlocks and all know who it is", "[robust_mutex]") {
  SharedMutex const mutex;
  CHECK(mutex->owner() == 0);
  CHECK_FALSE(mutex->try_unlock());
  Holder holder(mutex);
  CHECK(mutex->owner() == holder.pid());
  CHECK_FALSE(mutex->held_by_this_thread());
  CHECK_FALSE(mutex->try_unlock());
  CHECK(mutex->try_lock() == std::nullopt);
  CHECK(mutex->owner() == holder.pid());
  holder.kill();
  CHECK(mutex->owner() == 0);
  CHECK_FALSE(mutex->held_by_this_thread());
  CHECK_FALSE(mutex->try_unlock());
  CHECK(mutex->try_lock() == os::Acquired::Recovered);
  mutex->unlock();
}

TEST_CASE("a thread does not unlock what another of its process holds", "[robust_mutex]") {
  SharedMutex const mutex;
  CHECK(mutex->lock() == os::Acquired::Clean);
  bool touched = true;
  std::thread([&] {
    touched = mutex->held_by_this_thread() || mutex->try_unlock() || mutex->try_lock();
  }).join();
  CHECK_FALSE(touched);
  mutex->unlock();
}

TEST_CASE("a wait for a mutex ends at its deadline and not before", "[robust_mutex]") {
  SharedMutex const mutex;
  Holder holder(mutex);
  for (auto const timeout : {20ms, 0ms, -5ms}) {
    auto const deadline = Deadline::after(timeout);
    CHECK(mutex->lock_until(deadline) == std::nullopt);
    CHECK(deadline.passed());
  }
  holder.kill();
  CHECK(mutex->lock_until(Deadline::after(1h)) == os::Acquired::Recovered);
  mutex->unlock();
}

TEST_CASE("whoever recovers a recursive mutex holds it once", "[robust_mutex]") {
  SharedMutex const mutex(Kind::Recursive);
  Holder(mutex, 3).kill();
  CHECK(mutex->lock() == os::Acquired::Recovered);
  CHECK(mutex->depth() == 1);
  CHECK(mutex->try_unlock());
  CHECK(mutex->owner() == 0);
}

TEST_CASE("killed waiters keep nobody from the mutex", "[robust_mutex]") {
  SharedMutex const mutex;
  for (int round = 0; round < 10; ++round) {
    CHECK(mutex->lock() == os::Acquired::Clean);
    std::vector<std::unique_ptr<support::RawChild>> waiters;
    for (int i = 0; i < 4; ++i) {
      waiters.push_back(std::make_unique<support::RawChild>([&] {
        auto const acquired = mutex->lock();
        mutex->unlock();
        return acquired == os::Acquired::Clean ? 0 : 1;
      }));
      support::wait_until_asleep(waiters.back()->pid());
    }
    for (std::size_t i = 0; i < 3; ++i)
      waiters[i]->kill();  // before, while and after it is handed on
    mutex->unlock();
    CHECK(waiters.back()->wait() == 0);
  }
}

}  // namespace robust_mutex_test

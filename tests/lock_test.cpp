// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/lock.hpp>

#include <sys/syscall.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>
#include <type_traits>
#include <vector>

#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/mailbox.hpp"

namespace lock_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

TEMPLATE_TEST_CASE("one holder at a time, between processes and threads", "[lock][stress]",
                   mp::Lock, mp::RLock) {
  TestType const lock;
  mp::RawValue<long> const count;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  auto const work = [](TestType const& mine, mp::RawValue<long> const& counter, long times) {
    for (long i = 0; i < times; ++i) {
      std::scoped_lock const guard(mine);
      counter = counter.value() + 1;
    }
  };
  std::vector<mp::Process> processes;
  for (int i = 0; i < 3; ++i) processes.emplace_back(work, lock, count, rounds).start();
  std::thread thread(work, lock, count, rounds);
  work(lock, count, rounds);
  thread.join();
  for (auto& process : processes) process.join();
  CHECK(count.value() == 5 * rounds);
  CHECK_FALSE(lock.locked());
}

TEST_CASE("a Lock is taken once: again is false, or an exception that names the call", "[lock]") {
  mp::Lock const lock;
  CHECK(lock.acquire());
  CHECK(lock.locked());
  CHECK_FALSE(lock.try_acquire());
  CHECK_FALSE(lock.acquire(5ms));
  CHECK_FALSE(lock.try_lock_until(std::chrono::system_clock::now() + 1ms));
  CHECK_THAT(support::message_of<std::system_error>([&] { lock.acquire(); }),
             ContainsSubstring("Lock.acquire") && ContainsSubstring("the calling thread holds it"));
  std::thread([&] { lock.try_acquire() ? std::abort() : void(); }).join();
  lock.release();
  CHECK_FALSE(lock.locked());
}

TEST_CASE("an RLock needs as many releases as acquisitions", "[lock]") {
  mp::RLock const lock;
  for (int i = 0; i < 3; ++i) CHECK(lock.acquire());
  for (int i = 0; i < 3; ++i) {
    CHECK(lock.locked());
    lock.release();
  }
  CHECK_FALSE(lock.locked());
  CHECK_THAT(support::message_of<std::logic_error>([&] { lock.release(); }),
             ContainsSubstring("RLock.release: nobody holds it"));
}

TEMPLATE_TEST_CASE("who does not hold it can not release it, and is told who does", "[lock]",
                   mp::Lock, mp::RLock) {
  TestType const lock;
  CHECK_THROWS_AS(lock.release(), std::logic_error);
  support::Pipe held;
  support::Pipe go;
  support::RawChild holder([&] {
    lock.acquire();
    held.tell();
    go.hear();
    lock.release();
  });
  held.hear();
  auto const owner = "process " + std::to_string(holder.pid());
  CHECK_THAT(support::message_of<std::logic_error>([&] { lock.release(); }),
             ContainsSubstring(".release") && ContainsSubstring(owner));
  CHECK_THAT(to_string(lock), ContainsSubstring("(owner=" + owner + ", thread "));
  CHECK(lock.locked());
  CHECK_FALSE(lock.held_by_this_thread());
  go.tell();
  CHECK(holder.wait() == 0);
  std::thread([&] { lock.acquire(); }).join();  // a thread that ends holds nothing
  CHECK(lock.acquire(30s));
  CHECK(lock.recovered());
  lock.release();
}

TEST_CASE("it prints its kind and its owner", "[lock]") {
  mp::Lock const lock;
  mp::RLock const rlock;
  std::ostringstream out;
  out << lock << rlock;
  CHECK(out.str() == "<Lock(owner=None)><RLock(owner=None)>");
  std::scoped_lock const guard(lock);
  auto const self =
      "process " + std::to_string(::getpid()) + ", thread " + std::to_string(::syscall(SYS_gettid));
  CHECK(to_string(lock) == "<Lock(owner=" + self + ")>");
}

TEMPLATE_TEST_CASE("a killed holder hands it to all who wait, one of whom learns of it", "[lock]",
                   mp::Lock, mp::RLock) {
  TestType const lock;
  mp::Value<int> const recoveries(0);
  for (int depth = 1; depth <= 2; ++depth) {
    support::Pipe held;
    support::RawChild holder([&] {
      for (int i = 0; i < (std::is_same_v<TestType, mp::RLock> ? depth : 1); ++i) lock.acquire();
      held.tell();
      for (;;) ::pause();
    });
    held.hear();
    auto const wait = [&] {
      lock.acquire();
      if (lock.recovered()) recoveries.update([](int& n) { ++n; });
      lock.release();
    };
    support::RawChild first(wait);
    support::RawChild second(wait);
    support::wait_until_asleep(first.pid());
    support::wait_until_asleep(second.pid());
    holder.kill();
    CHECK(first.wait() == 0);
    CHECK(second.wait() == 0);
    CHECK(recoveries.value() == depth);
  }
  lock.acquire();
  CHECK_FALSE(lock.recovered());
  lock.release();
}

TEST_CASE("a lock is not kept from anybody by killed waiters", "[lock]") {
  mp::Lock const lock;
  lock.acquire();
  for (int i = 0; i < 5; ++i) {
    support::RawChild waiter([&] { lock.acquire(); });
    support::wait_until_asleep(waiter.pid());
  }
  support::RawChild survivor([&] { lock.acquire(); });
  support::wait_until_asleep(survivor.pid());
  lock.release();
  CHECK(survivor.wait() == 0);
}

TEST_CASE("it works with the standard library's guards", "[lock]") {
  mp::Lock const a;
  mp::RLock const b;
  {
    std::scoped_lock const both(a, b);
    CHECK(a.locked());
    CHECK(b.locked());
  }
  std::unique_lock<mp::Lock const> lock(a, std::defer_lock);
  CHECK(lock.try_lock());
  lock.unlock();
  CHECK(lock.try_lock_for(1s));
  lock.unlock();
  CHECK(lock.try_lock_until(std::chrono::steady_clock::now() + 1s));
}

TEST_CASE("a child that exits with the lock leaves it to the next", "[lock]") {
  mp::Lock const lock;
  mp::Process process([](mp::Lock const& left) { left.acquire(); }, lock);
  process.start();
  process.join();
  CHECK_FALSE(lock.locked());
  CHECK(lock.acquire(30s));
  CHECK(lock.recovered());
  lock.release();
}

TEST_CASE("a copy is the same lock, another is not", "[lock]") {
  mp::Lock const lock;
  mp::Lock const copy = lock;
  CHECK(copy == lock);
  CHECK(support::parcelled(lock) == lock);
  CHECK_FALSE(mp::Lock() == lock);
  copy.acquire();
  CHECK(lock.locked());
  lock.release();
}

TEST_CASE("a lock that is dropped while it is held harms nobody", "[lock]") {
  for (int i = 0; i < 3; ++i) {
    {
      mp::Lock const lock;
      lock.acquire();
    }
    std::vector<mp::RawValue<long>> values(4, mp::RawValue<long>(0x1111));
    for (auto& value : values) value = mp::RawValue<long>(0x1111);
    mp::Lock const other;
    other.acquire();
    other.release();
    for (auto const& value : values) CHECK(value.value() == 0x1111);
  }
  mp::Lock const kept;
  support::RawChild child([&] {
    { mp::RLock().acquire(); }
    mp::RLock const next;
    kept.acquire();
    return 0;
  });
  CHECK(child.wait() == 0);
  CHECK(kept.acquire(30s));
  CHECK(kept.recovered());
  kept.release();
}

TEST_CASE("a lock that is dropped while another thread holds it stays that thread's", "[lock]") {
  auto lock = std::make_unique<mp::Lock>();
  support::Pipe held;
  support::Pipe go;
  std::thread holder([&, raw = lock.get()] {
    raw->acquire();
    held.tell();
    go.hear();
    mp::Lock const other;
    other.acquire();
    other.release();
  });
  held.hear();
  lock.reset();
  mp::RawValue<long> const value(7);
  go.tell();
  holder.join();
  CHECK(value.value() == 7);
}

TEST_CASE("a thread that holds too many locks is told before any would be lost", "[lock]") {
  std::vector<mp::Lock> locks(2'500);
  support::RawChild holder([&] {
    std::size_t taken = 0;
    try {
      for (; taken < locks.size(); ++taken) locks[taken].acquire();
    } catch (std::system_error const& error) {
      return error.code() == std::errc::resource_unavailable_try_again && taken > 1'000 ? 0 : 1;
    }
    return 2;
  });
  CHECK(holder.wait() == 0);
  for (auto const& lock : locks) {
    REQUIRE(lock.acquire(30s));
    lock.release();
  }
}

TEST_CASE("times beyond all clocks are never, or long ago", "[lock]") {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  mp::Lock const lock;
  lock.acquire();
  std::thread([&] {
    if (lock.try_lock_until(system_clock::time_point::min())) std::abort();
    if (lock.try_lock_until(steady_clock::time_point::min())) std::abort();
    if (lock.try_lock_until(steady_clock::time_point(-1ns))) std::abort();
  }).join();
  support::RawChild waiters[] = {
      support::RawChild(
          [&] { return lock.try_lock_until(std::chrono::sys_seconds::max()) ? 0 : 1; }),
      support::RawChild([&] {
        using Seconds = std::chrono::time_point<steady_clock, std::chrono::seconds>;
        return lock.try_lock_until(Seconds::max()) ? 0 : 1;
      })};
  for (auto& waiter : waiters) support::wait_until_asleep(waiter.pid());
  lock.release();
  for (auto& waiter : waiters) CHECK(waiter.wait() == 0);
}

}  // namespace lock_test

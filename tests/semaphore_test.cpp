// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/semaphore.hpp>

#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/mailbox.hpp"

namespace semaphore_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

TEST_CASE("it counts down to zero and up beyond its first value", "[semaphore]") {
  mp::Semaphore const semaphore(2);
  CHECK(semaphore.acquire());
  CHECK(semaphore.get_value() == 1);
  CHECK(semaphore.try_acquire());
  CHECK(semaphore.get_value() == 0);
  CHECK_FALSE(semaphore.try_acquire());
  CHECK_FALSE(semaphore.acquire(2ms));
  CHECK_FALSE(semaphore.try_acquire_for(-1s));
  CHECK_FALSE(semaphore.try_acquire_until(std::chrono::steady_clock::now() + 1ms));
  for (int i = 0; i < 4; ++i) semaphore.release();
  CHECK(semaphore.get_value() == 4);
  CHECK(to_string(semaphore) == "<Semaphore(value=4)>");
}

TEST_CASE("a bounded one refuses a release too many, and says so", "[semaphore]") {
  mp::BoundedSemaphore const semaphore(2);
  semaphore.acquire();
  semaphore.release();
  CHECK_THAT(support::message_of<std::logic_error>([&] { semaphore.release(); }),
             ContainsSubstring("BoundedSemaphore.release: released too often, the value is 2"));
  CHECK(semaphore.get_value() == 2);
  mp::BoundedSemaphore const reclaiming({.value = 1, .reclaim = true});
  CHECK_THAT(support::message_of<std::logic_error>([&] { reclaiming.release(); }),
             ContainsSubstring("BoundedSemaphore.release: this process holds nothing of it"));
}

TEST_CASE("values that are none are refused by name", "[semaphore]") {
  CHECK_THAT(support::message_of<std::invalid_argument>([] { mp::Semaphore(-1); }),
             ContainsSubstring("Semaphore: the value -1 is not between 0 and 2147483647"));
  CHECK_THAT(support::message_of<std::invalid_argument>([] { mp::BoundedSemaphore(-2); }),
             ContainsSubstring("BoundedSemaphore: the value -2"));
  CHECK_THROWS_AS(mp::Semaphore({.value = -1, .reclaim = true}), std::invalid_argument);
  CHECK_THROWS_AS(mp::Semaphore(std::int64_t{1} << 31), std::invalid_argument);
  mp::Semaphore const full(std::numeric_limits<std::int32_t>::max());
  CHECK_THROWS_AS(full.release(), std::logic_error);
}

namespace {
void go_in_and_out(mp::Semaphore const& semaphore, mp::Value<int> const& inside,
                   mp::Value<int> const& most, long rounds) {
  for (long i = 0; i < rounds; ++i) {
    std::scoped_lock const guard(semaphore);
    int const now = inside.update([](int& n) { return ++n; });
    most.update([=](int& m) { m = std::max(m, now); });
    inside.update([](int& n) { --n; });
  }
}
}  // namespace

TEST_CASE("no more than its value are inside, between processes and threads",
          "[semaphore][stress]") {
  for (bool const reclaim : {false, true}) {
    mp::Semaphore const semaphore({.value = 2, .reclaim = reclaim});
    mp::Value<int> const inside(0);
    mp::Value<int> const most(0);
    long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 3'000);
    std::vector<mp::Process> processes;
    for (int i = 0; i < 4; ++i) {
      processes.emplace_back(go_in_and_out, semaphore, inside, most, rounds).start();
    }
    std::thread thread(go_in_and_out, semaphore, inside, most, rounds);
    thread.join();
    for (auto& process : processes) process.join();
    CHECK(most.value() >= 1);
    CHECK(most.value() <= 2);
    CHECK(semaphore.get_value() == 2);
  }
}

TEST_CASE("each release lets one waiter go on", "[semaphore]") {
  mp::Semaphore const semaphore(0);
  std::vector<std::unique_ptr<support::RawChild>> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.push_back(std::make_unique<support::RawChild>([&] { semaphore.acquire(); }));
  }
  for (auto& waiter : waiters) support::wait_until_asleep(waiter->pid());
  for (int i = 0; i < 3; ++i) semaphore.release();
  for (auto& waiter : waiters) CHECK(waiter->wait() == 0);
  CHECK(semaphore.get_value() == 0);
}

TEST_CASE("killed waiters take nothing from a semaphore", "[semaphore]") {
  for (bool const reclaim : {false, true}) {
    mp::Semaphore const semaphore({.value = 1, .reclaim = reclaim});
    semaphore.acquire();
    for (int i = 0; i < 5; ++i) {
      support::RawChild waiter([&] { semaphore.acquire(); });
      support::wait_until_asleep(waiter.pid());
    }
    support::RawChild survivor([&] { semaphore.acquire(); });
    support::wait_until_asleep(survivor.pid());
    semaphore.release();
    CHECK(survivor.wait() == 0);
  }
}

TEST_CASE("what a dead process held comes back to those who wait, when asked for", "[semaphore]") {
  mp::Semaphore const semaphore({.value = 2, .reclaim = true});
  support::Pipe held;
  support::RawChild holder([&] {
    semaphore.acquire();
    semaphore.acquire();
    held.tell();
    for (;;) ::pause();
  });
  held.hear();
  CHECK(semaphore.get_value() == 0);
  CHECK_FALSE(semaphore.acquire(2ms));
  support::RawChild first([&] { semaphore.acquire(); });
  support::RawChild second([&] { semaphore.acquire(); });
  support::wait_until_asleep(first.pid());
  support::wait_until_asleep(second.pid());
  holder.kill();
  CHECK(first.wait() == 0);  // and leaves with what it has acquired
  CHECK(second.wait() == 0);
  CHECK(semaphore.get_value() == 2);
}

TEST_CASE("a holder that exits gives back what it held, when asked for", "[semaphore]") {
  mp::Semaphore const semaphore({.value = 1, .reclaim = true});
  for (int i = 0; i < 3; ++i) {
    mp::Process process([](mp::Semaphore const& taken) { taken.acquire(); }, semaphore);
    process.start();
    process.join();
    CHECK(semaphore.get_value() == 1);
  }
}

TEST_CASE("without being asked nothing comes back", "[semaphore]") {
  mp::Semaphore const semaphore(1);
  support::RawChild([&] { semaphore.acquire(); }).wait();
  CHECK_FALSE(semaphore.acquire(2ms));
  semaphore.release();
  CHECK(semaphore.acquire(30s));
}

TEST_CASE("a copy is the same semaphore", "[semaphore]") {
  mp::Semaphore const semaphore(1);
  auto const copy = semaphore;
  CHECK(copy == semaphore);
  CHECK(support::parcelled(semaphore) == semaphore);
  copy.acquire();
  CHECK(semaphore.get_value() == 0);
  CHECK_FALSE(mp::Semaphore(1) == semaphore);
}

}  // namespace semaphore_test

// SPDX-License-Identifier: BSL-1.0
// Processes killed at random moments while they take and release what they share: what it guards
// stays right, and nobody waits for the dead.
//
//   MULTIPROCESSING_TEST_STORM=1000000     rounds of each of the four processes
#include <csignal>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <multiprocessing/barrier.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace lock_storm_test {

namespace mp = multiprocessing;

namespace {

constexpr int kProcesses = 4;
constexpr int kFewestKills = 50;

/// Keeps four processes at work until `is_enough()`, and kills and replaces one now and then.
/// Returns how many it has killed.
template <class Work, class IsEnough>
long storm(Work const& work, IsEnough const& is_enough) {
  std::mt19937 random(1);  // NOLINT: the same run every time, as far as the kernel lets it
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(std::make_unique<support::RawChild>(work));
  }
  long kills = 0;
  while (kills < kFewestKills || !is_enough()) {
    for (auto pause = random() % 300; pause > 0; --pause) std::this_thread::yield();
    auto& victim = children[random() % kProcesses];
    victim->kill();
    victim->wait();
    victim = std::make_unique<support::RawChild>(work);
    ++kills;
  }
  for (auto& child : children) child->kill();
  return kills;
}

long rounds() {
  return kProcesses *
         support::setting("MULTIPROCESSING_TEST_STORM", support::kSanitized ? 10'000 : 100'000);
}

}  // namespace

TEMPLATE_TEST_CASE("a storm of kills does not break what a lock guards", "[faults][stress]",
                   mp::Lock, mp::RLock) {
  struct Account {
    long left;
    long right;  // the same, whenever nobody holds the lock
    long repairs;
  };
  TestType const lock;
  mp::RawValue<Account> const account;
  long const kills = storm(
      [&] {
        for (;;) {
          std::scoped_lock const guard(lock);
          if (lock.recovered() && account->left != account->right) {
            account->right = account->left;
            ++account->repairs;
          }
          ++account->left;
          ++account->right;
        }
      },
      [&, end = rounds()] { return account->left >= end; });
  std::scoped_lock const guard(lock);
  INFO(kills << " kills, " << account->repairs << " in the middle of a change");
  CHECK(account->left - account->right <= (lock.recovered() ? 1 : 0));
}

TEST_CASE("a storm of kills changes a value as a whole", "[faults][stress]") {
  struct Many {
    long parts[16];
  };
  mp::Value<Many> const value;
  mp::RawValue<long> const torn(0);
  storm(
      [&] {
        for (;;) {
          value.update([&](Many& many) {
            for (long const part : many.parts) {
              if (part != many.parts[0]) torn = 1;
            }
            for (long& part : many.parts) ++part;
          });
        }
      },
      [&, end = rounds()] { return value.lock()->parts[0] >= end; });
  CHECK(torn.value() == 0);
}

TEST_CASE("a storm of kills takes nothing from a reclaiming semaphore", "[faults][stress]") {
  mp::Semaphore const semaphore({.value = 2, .reclaim = true});
  mp::RawValue<long> const count(0);
  storm(
      [&] {
        for (;;) {
          std::scoped_lock const guard(semaphore);
          ++count.atomic();
        }
      },
      [&, end = rounds() / 10] { return count.atomic() >= end; });
  semaphore.acquire();
  semaphore.acquire();
  CHECK(semaphore.get_value() == 0);
}

TEST_CASE("a storm of kills leaves no sleeper untold", "[faults][stress]") {
  // Everybody takes a turn, tells all, and sleeps until somebody else has taken one. Without a
  // timeout: the watchdog bites when nobody is awake. Who takes the place of the killed tells all
  // again.
  mp::Condition const condition;
  mp::RawValue<long> const turns(0);
  storm(
      [&] {
        for (;;) {
          std::scoped_lock const guard(condition);
          long const own = turns.value() + 1;
          turns = own;
          condition.notify_all();
          condition.wait([&] { return turns.value() != own; });
        }
      },
      [&, end = rounds() / 100] { return turns.atomic() >= end; });
  condition.acquire();
  CHECK(turns.value() >= rounds() / 100);
  condition.release();
}

TEST_CASE("a storm of kills breaks barriers and resets mend them", "[faults][stress]") {
  mp::Barrier const barrier(kProcesses);
  mp::RawValue<long> const passed(0);
  mp::RawValue<long> const broken(0);
  storm(
      [&] {
        for (;;) {
          try {
            barrier.wait();
            ++passed.atomic();
          } catch (mp::BrokenBarrierError const&) {
            ++broken.atomic();
            barrier.reset();
          }
        }
      },
      // A kill breaks nothing unless its victim was waiting: which takes as many kills as it takes.
      [&, end = rounds() / 100] { return passed.atomic() >= end && broken.atomic() > 0; });
  barrier.reset();
  std::vector<std::unique_ptr<support::RawChild>> parties;
  for (int i = 0; i < kProcesses; ++i) {
    parties.push_back(std::make_unique<support::RawChild>([&] { barrier.wait(); }));
  }
  for (auto& party : parties) CHECK(party->wait() == 0);
}

}  // namespace lock_storm_test

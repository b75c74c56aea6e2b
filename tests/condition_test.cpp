// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/condition.hpp>

#include <memory>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include <multiprocessing/event.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/value.hpp>

#include "support/catch.hpp"
#include "support/helpers.hpp"
#include "support/mailbox.hpp"
#include "support/system_calls.hpp"

namespace condition_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

/// Processes that sleep at a condition, and count when they are woken.
class Sleepers {
 public:
  Sleepers(int count, mp::Condition const& condition) : condition_(condition) {
    for (int i = 0; i < count; ++i) add();
  }

  void add() {
    children_.push_back(std::make_unique<support::RawChild>([this] {
      std::scoped_lock const guard(condition_);
      condition_.wait();
      woken_.update([](int& n) { ++n; });
    }));
    support::wait_until_asleep(children_.back()->pid());
  }
  void notify(int count) const {
    std::scoped_lock const guard(condition_);
    condition_.notify(count);
  }
  /// Returns when `expected` have been woken, and the others sleep.
  void wait_for(int expected) const {
    while (woken_.value() < expected) std::this_thread::yield();
    for (auto const& child : children_) support::wait_until_asleep_or_ended(child->pid());
    CHECK(woken_.value() == expected);
  }
  support::RawChild& operator[](std::size_t index) { return *children_[index]; }
  void join() {
    for (auto& child : children_) CHECK(child->wait() == 0);
  }

 private:
  mp::Condition condition_;
  mp::Value<int> woken_{0};
  std::vector<std::unique_ptr<support::RawChild>> children_;
};

}  // namespace

TEST_CASE("notify wakes as many as it says, those first who have waited longest", "[condition]") {
  mp::Lock const lock;
  for (auto const& condition : {mp::Condition(), mp::Condition(lock)}) {
    Sleepers sleepers(5, condition);
    sleepers.notify(1);
    CHECK(sleepers[0].wait() == 0);
    sleepers.wait_for(1);
    sleepers.notify(0);
    sleepers.notify(-1);
    sleepers.wait_for(1);
    sleepers.notify(2);
    CHECK(sleepers[1].wait() == 0);
    CHECK(sleepers[2].wait() == 0);
    sleepers.wait_for(3);
    sleepers.notify(100);
    CHECK(sleepers[3].wait() == 0);
    CHECK(sleepers[4].wait() == 0);
  }
}

TEST_CASE("notify_all wakes everybody, processes and threads", "[condition]") {
  mp::Condition const condition;
  Sleepers sleepers(3, condition);
  mp::Event const ready;
  std::thread thread([&] {
    std::scoped_lock const guard(condition);
    ready.set();
    condition.wait();
  });
  ready.wait();
  {
    std::scoped_lock const guard(condition);  // the thread sleeps
    condition.notify_all();
  }
  thread.join();
  sleepers.join();
}

TEST_CASE("a notification for nobody is for nobody", "[condition]") {
  mp::Condition const condition;
  std::scoped_lock const guard(condition);
  condition.notify();
  condition.notify_all();
  CHECK_FALSE(condition.wait(2ms));
  CHECK_FALSE(condition.wait_for(2ms));
  CHECK_FALSE(condition.wait_until(std::chrono::steady_clock::now() + 2ms));
}

TEST_CASE("dead and timed-out sleepers swallow no notification", "[condition]") {
  mp::Condition const condition;
  Sleepers sleepers(3, condition);
  sleepers[0].kill();
  sleepers[0].wait();
  {
    std::scoped_lock const guard(condition);
    CHECK_FALSE(condition.wait(2ms));
  }
  sleepers[1].kill();
  sleepers[1].wait();
  sleepers.notify(1);
  CHECK(sleepers[2].wait() == 0);
}

TEST_CASE("a sleeper that was told and died before it acted passes its turn on", "[condition]") {
  mp::Condition const condition;
  Sleepers sleepers(3, condition);
  {
    std::scoped_lock const guard(condition);  // who is told can not get on
    condition.notify(1);
    sleepers[0].kill();
    sleepers[0].wait();
  }
  sleepers.notify(1);  // and the turn of the dead
  CHECK(sleepers[1].wait() == 0);
  CHECK(sleepers[2].wait() == 0);
}

TEST_CASE("a wait lets go of all levels of an RLock and takes them again", "[condition]") {
  mp::Condition const condition;
  mp::Value<int> const seen(0);
  support::Pipe held;
  support::RawChild sleeper([&] {
    for (int i = 0; i < 3; ++i) condition.acquire();
    held.tell();
    condition.wait();
    for (int i = 0; i < 3; ++i) condition.release();
    return condition.locked() ? 1 : 0;
  });
  held.hear();
  condition.acquire();
  condition.notify();
  condition.release();
  CHECK(sleeper.wait() == 0);
}

TEST_CASE("a predicate decides, whatever is notified", "[condition]") {
  mp::Condition const condition;
  mp::RawValue<int> const state(0);
  mp::Process process(
      [](mp::Condition const& changed, mp::RawValue<int> const& now) {
        std::scoped_lock const guard(changed);
        changed.wait([=] { return now.value() == 4; });
        mp::exit(now.value());
      },
      condition, state);
  process.start();
  for (int i = 1; i <= 4; ++i) {
    std::scoped_lock const guard(condition);
    state = i;
    condition.notify();
  }
  process.join();
  CHECK(process.exitcode() == 4);

  std::scoped_lock const guard(condition);
  auto const never = [] { return false; };
  auto const always = [] { return true; };
  auto const end = std::chrono::steady_clock::now() + 10ms;
  CHECK_FALSE(condition.wait_until(end, never));
  CHECK(std::chrono::steady_clock::now() >= end);
  CHECK_FALSE(condition.wait_for(never, 1ms));
  CHECK_FALSE(condition.wait_for(1ms, never));
  CHECK(condition.wait_for(always, 0s));
  CHECK(condition.wait_for(-1s, always));
}

TEST_CASE("notifications without end do not keep a wait beyond its deadline", "[condition]") {
  mp::Condition const condition;
  support::RawChild notifier([&] {
    for (;;) {
      std::scoped_lock const guard(condition);
      condition.notify();
    }
  });
  condition.acquire();
  CHECK_FALSE(condition.wait_for(20ms, [] { return false; }));
  condition.release();
}

TEST_CASE("without the lock there is no waiting and no notifying", "[condition]") {
  mp::Condition const condition;
  auto const check = [](std::string const& call, std::string const& message) {
    CHECK_THAT(message, ContainsSubstring("Condition." + call + ": "));
    CHECK_THAT(message, ContainsSubstring("does not hold the lock <RLock(owner="));
  };
  using support::message_of;
  check("wait", message_of<std::logic_error>([&] { condition.wait(); }));
  check("wait_for",
        message_of<std::logic_error>([&] { static_cast<void>(condition.wait_for(1s)); }));
  check("notify", message_of<std::logic_error>([&] { condition.notify(); }));
  check("notify_all", message_of<std::logic_error>([&] { condition.notify_all(); }));
  std::scoped_lock const guard(condition);
  std::thread([&] {
    if (message_of<std::logic_error>([&] { condition.notify(); }) == "nothing") std::abort();
  }).join();
}

TEST_CASE("a killed notifier leaves a lock that can be recovered, and sleepers to be told",
          "[condition]") {
  mp::Condition const condition;
  Sleepers sleepers(2, condition);
  support::Pipe told;
  support::RawChild notifier([&] {
    condition.acquire();
    condition.notify(1);
    told.tell();
    for (;;) ::pause();
  });
  told.hear();
  notifier.kill();
  notifier.wait();
  sleepers.wait_for(1);
  sleepers.notify(1);
  sleepers.join();
}

TEST_CASE("without a sleeper a notification does not enter the kernel", "[condition]") {
  mp::Condition const condition;
  condition.acquire();
  condition.release();
  CHECK(support::system_calls_of([&] {
          condition.acquire();
          for (int i = 0; i < 100; ++i) {
            condition.notify();
            condition.notify_all();
          }
        }) <= 1);  // the thread's number, once
}

namespace {
void take(mp::Condition const& condition, mp::RawValue<int> const& items, long count) {
  for (long n = 0; n < count; ++n) {
    std::scoped_lock const guard(condition);
    condition.wait([=] { return items.value() > 0; });
    items = items.value() - 1;
  }
}
void give(mp::Condition const& condition, mp::RawValue<int> const& items, long count) {
  for (long n = 0; n < count; ++n) {
    std::scoped_lock const guard(condition);
    items = items.value() + 1;
    condition.notify();
  }
}
}  // namespace

TEST_CASE("items go from many to many and none is lost", "[condition][stress]") {
  mp::Condition const condition;
  mp::RawValue<int> const items(0);
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 2'000);
  std::vector<mp::Process> processes;
  for (int i = 0; i < 3; ++i) {
    processes.emplace_back(take, condition, items, rounds);
    processes.emplace_back(give, condition, items, rounds);
  }
  for (auto& process : processes) process.start();
  for (auto& process : processes) process.join();
  CHECK(items.value() == 0);
}

TEST_CASE("it prints its lock, and copies are the same condition", "[condition]") {
  mp::Condition const condition;
  std::ostringstream out;
  out << condition;
  CHECK(out.str() == "<Condition(<RLock(owner=None)>)>");
  auto const copy = condition;
  CHECK(copy == condition);
  CHECK(support::parcelled(condition) == condition);
  mp::Lock const lock;
  CHECK(mp::Condition(lock).get_lock() == lock);
}

}  // namespace condition_test

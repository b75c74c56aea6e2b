// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/quiet_flag.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_shared_memory.hpp"
#include "../support/system_calls.hpp"

namespace quiet_flag_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::sync;
namespace shm = multiprocessing::shm;
using namespace std::chrono_literals;

namespace {

struct Stage {
  QuietFlag changed;
  QuietFlag answered;
  std::atomic<int> value{0};
  std::atomic<int> answer{0};
  shm::LifeLock peer;

  Waited wait_for(int wanted, Deadline deadline, Peers peers = {}) {
    return changed.await([&] { return value.load(std::memory_order_relaxed) >= wanted; }, deadline,
                         peers);
  }
  void change_to(int number) {
    value.store(number, std::memory_order_relaxed);
    changed.tell(this_thread_seated());
  }
};
using Shared = support::InSharedMemory<Stage>;

}  // namespace

TEST_CASE("what is ready is not waited for, what never comes until the deadline", "[quiet_flag]") {
  Shared const shared;
  CHECK(shared->wait_for(0, Deadline::never()) == Waited::Ready);
  auto const deadline = Deadline::after(20ms);
  CHECK(shared->wait_for(1, deadline) == Waited::TimedOut);
  CHECK(deadline.passed());
}

TEST_CASE("all who sleep are told of a change", "[quiet_flag]") {
  for (bool const often : {true, false}) {
    Shared const shared;
    std::vector<std::unique_ptr<support::RawChild>> sleepers;
    for (int i = 0; i < 3; ++i) {
      sleepers.push_back(std::make_unique<support::RawChild>(
          [&] { return shared->wait_for(1, Deadline::never()) == Waited::Ready ? 0 : 1; }));
      support::wait_until_asleep(sleepers.back()->pid());
    }
    if (often) {
      shared->change_to(1);
    } else {
      shared->value = 1;
      shared->changed.tell();
    }
    for (auto& sleeper : sleepers) CHECK(sleeper->wait() == 0);
  }
}

TEST_CASE("to tell while nobody sleeps takes no system call", "[quiet_flag]") {
  Shared const shared;
  auto const sit_down = [] { this_thread_seated(); };
  support::system_calls_of(sit_down);  // the table of seats has grown
  CHECK(support::system_calls_of([&] {
          for (int i = 0; i < 100; ++i) shared->change_to(i);
        }) == support::system_calls_of(sit_down));
}

TEST_CASE("a sleeper that was killed costs others nothing", "[quiet_flag]") {
  Shared const shared;
  support::RawChild victim([&] { static_cast<void>(shared->wait_for(1, Deadline::never())); });
  support::wait_until_asleep(victim.pid());
  victim.kill();
  victim.wait();
  support::RawChild survivor(
      [&] { return shared->wait_for(1, Deadline::never()) == Waited::Ready ? 0 : 1; });
  support::wait_until_asleep(survivor.pid());
  shared->change_to(1);
  CHECK(survivor.wait() == 0);
  CHECK(shared->wait_for(1, Deadline::never()) == Waited::Ready);
}

TEST_CASE("a wait ends with the life of any whom it watches", "[quiet_flag]") {
  for (bool const before : {true, false}) {
    Shared const shared;
    support::Pipe held;
    support::RawChild peer([&] {
      shared->peer.hold();
      held.tell();
      for (;;) ::pause();
    });
    held.hear();
    std::array const peers{Peer(shared->peer)};
    auto const end_peer = [&] {
      peer.kill();
      peer.wait();
    };
    if (before) end_peer();
    support::RawChild waiter(
        [&] { return shared->wait_for(1, Deadline::never(), peers) == Waited::PeerDied ? 0 : 1; });
    if (!before) {
      support::wait_until_asleep(waiter.pid());
      end_peer();
    }
    CHECK(waiter.wait() == 0);
  }
}

TEST_CASE("who was told before it slept does not sleep, though another waits again",
          "[quiet_flag]") {
  QuietFlag flag;
  bool is_changed = false;
  auto const change_meanwhile = [&] {
    static_cast<void>(flag.tell());
    is_changed = true;
    static_cast<void>(flag.await([] { return false; }, Deadline::after(0s), {}));
  };
  int looks = 0;
  auto const is_ready = [&] {
    if (looks++ > 0) return is_changed;
    change_meanwhile();  // just after this look, which found nothing
    return false;
  };
  CHECK(flag.await(is_ready, Deadline::never(), {}) == Waited::Ready);
}

TEST_CASE("every change is noticed, between threads", "[quiet_flag][threads][stress]") {
  Stage stage;
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 5000));
  constexpr int kWaiters = 2;
  std::vector<std::thread> waiters;
  for (int w = 0; w < kWaiters; ++w) {
    waiters.emplace_back([&] {
      for (int i = 1; i <= rounds; ++i) {
        static_cast<void>(stage.wait_for(i, Deadline::never()));
        ++stage.answer;
        stage.answered.tell();
      }
    });
  }
  for (int i = 1; i <= rounds; ++i) {
    stage.change_to(i);
    static_cast<void>(
        stage.answered.await([&] { return stage.answer >= i * kWaiters; }, Deadline::never(), {}));
  }
  for (auto& waiter : waiters) waiter.join();
  CHECK(stage.answer == rounds * kWaiters);
}

TEST_CASE("every change is noticed, between processes", "[quiet_flag][stress]") {
  Shared const shared;
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 5000));
  support::RawChild child([&] {
    for (int i = 1; i <= rounds; ++i) {
      static_cast<void>(shared->wait_for(i, Deadline::never()));
      shared->answer.store(i, std::memory_order_relaxed);
      shared->answered.tell(this_thread_seated());
    }
  });
  for (int i = 1; i <= rounds; ++i) {
    shared->change_to(i);
    REQUIRE(shared->answered.await([&] { return shared->answer >= i; }, Deadline::never(), {}) ==
            Waited::Ready);
  }
  CHECK(child.wait() == 0);
}

}  // namespace quiet_flag_test

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/event_count.hpp>

#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <multiprocessing/shm/segment.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"

namespace event_count_test {

using namespace multiprocessing::sync;
using multiprocessing::base::Deadline;
namespace shm = multiprocessing::shm;
using namespace std::chrono_literals;

namespace {

/// An event count, a value that it announces, and a peer, in memory that children share.
struct Stage {
  EventCount event;
  EventCount answer;
  std::atomic<int> value{0};
  std::atomic<int> answered{0};
  shm::LifeLock peer;
};

class Shared {
 public:
  Shared() : segment_("test", 1 << 16, 1 << 16) {
    segment_.commit({4096, sizeof(Stage)});
    stage_ = new (segment_.data(4096)) Stage;
  }
  Stage* operator->() const { return stage_; }

 private:
  shm::Segment segment_;
  Stage* stage_;
};

Waited wait_for_value(Stage& stage, int value, Deadline deadline, shm::LifeLock* peer = nullptr) {
  AdaptiveSpin spin;
  return stage.event.await([&] { return stage.value.load() >= value; }, deadline, spin, peer);
}

}  // namespace

TEST_CASE("a wait for what is there returns at once", "[event_count]") {
  Shared const shared;
  shared->value = 1;
  CHECK(wait_for_value(*shared.operator->(), 1, Deadline::never()) == Waited::Ready);
  CHECK(wait_for_value(*shared.operator->(), 1, Deadline::after(0s)) == Waited::Ready);
}

TEST_CASE("a wait for what never comes ends at its deadline, not before", "[event_count]") {
  Shared const shared;
  auto const deadline = Deadline::after(20ms);
  CHECK(wait_for_value(*shared.operator->(), 1, deadline) == Waited::TimedOut);
  CHECK(deadline.passed());
}

TEST_CASE("every notification arrives, between processes", "[event_count][stress]") {
  Shared const shared;
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000));
  support::RawChild child([&] {
    AdaptiveSpin spin;
    for (int i = 1; i <= rounds; ++i) {
      static_cast<void>(
          shared->event.await([&] { return shared->value.load() >= i; }, Deadline::never(), spin));
      shared->answered = i;
      shared->answer.notify_all();
    }
    return 0;
  });
  AdaptiveSpin spin;
  for (int i = 1; i <= rounds; ++i) {
    shared->value = i;
    shared->event.notify_all();
    REQUIRE(shared->answer.await([&] { return shared->answered.load() >= i; }, Deadline::never(),
                                 spin) == Waited::Ready);
  }
  CHECK(child.wait() == 0);
}

TEST_CASE("every notification arrives, between threads", "[event_count][threads][stress]") {
  Stage stage;
  int const rounds = static_cast<int>(support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000));
  constexpr int kWaiters = 3;
  std::vector<std::thread> waiters;
  for (int w = 0; w < kWaiters; ++w) {
    waiters.emplace_back([&] {
      AdaptiveSpin spin;
      for (int i = 1; i <= rounds; ++i) {
        static_cast<void>(
            stage.event.await([&] { return stage.value.load() >= i; }, Deadline::never(), spin));
        stage.answered.fetch_add(1);
        stage.answer.notify_all();
      }
    });
  }
  AdaptiveSpin spin;
  for (int i = 1; i <= rounds; ++i) {
    stage.value = i;
    stage.event.notify_all();
    static_cast<void>(stage.answer.await([&] { return stage.answered.load() >= i * kWaiters; },
                                         Deadline::never(), spin));
  }
  for (auto& waiter : waiters) waiter.join();
  CHECK(stage.answered == rounds * kWaiters);
}

TEST_CASE("killed waiters cost nobody a notification", "[event_count]") {
  Shared const shared;
  for (int round = 0; round < 5; ++round) {
    support::Pipe waiting;
    support::RawChild victim([&] {
      waiting.tell();
      static_cast<void>(wait_for_value(*shared.operator->(), 1'000'000, Deadline::never()));
      return 0;
    });
    waiting.hear();
    victim.kill();
    victim.wait();
  }
  support::RawChild survivor([&] {
    return wait_for_value(*shared.operator->(), 1, Deadline::never()) == Waited::Ready ? 0 : 1;
  });
  shared->value = 1;
  shared->event.notify_all();
  CHECK(survivor.wait() == 0);
}

TEST_CASE("a wait ends when its peer is killed, before or during the wait", "[event_count]") {
  for (bool const before : {true, false}) {
    Shared const shared;
    support::Pipe held;
    support::RawChild peer([&] {
      shared->peer.hold();
      held.tell();
      for (;;) ::pause();
      return 0;
    });
    held.hear();
    std::vector<std::unique_ptr<support::RawChild>> waiters;
    support::Pipe started;
    auto const wait = [&] {
      started.tell();
      auto const result = wait_for_value(*shared.operator->(), 1, Deadline::never(), &shared->peer);
      return result == Waited::PeerDied ? 0 : 1;
    };
    if (before) {
      peer.kill();
      peer.wait();
    }
    for (int i = 0; i < 3; ++i) waiters.push_back(std::make_unique<support::RawChild>(wait));
    for (int i = 0; i < 3; ++i) started.hear();
    if (!before) {
      peer.kill();
      peer.wait();
    }
    for (auto& waiter : waiters) CHECK(waiter->wait() == 0);
  }
}

TEST_CASE("who leaves a wait for another reason passes the news of a death on", "[event_count]") {
  // The kernel wakes one sleeper for the death. The first waiter finds its own condition true, too,
  // and nobody notified the second.
  Shared const shared;
  Shared const other;  // of the second waiter
  support::Pipe held;
  support::Pipe go;
  support::RawChild peer([&] {
    shared->peer.hold();
    held.tell();
    go.hear();
    shared->value = 1;  // and dies before it notifies
  });
  held.hear();
  support::Pipe started;
  support::RawChild first([&] {
    started.tell();
    auto const result = wait_for_value(*shared.operator->(), 1, Deadline::never(), &shared->peer);
    return result == Waited::Ready ? 0 : 1;
  });
  support::RawChild second([&] {
    started.tell();
    auto const result = wait_for_value(*other.operator->(), 1, Deadline::never(), &shared->peer);
    return result == Waited::PeerDied ? 0 : 1;
  });
  started.hear();
  started.hear();
  support::wait_until_asleep(first.pid());
  support::wait_until_asleep(second.pid());
  go.tell();
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
}

TEST_CASE("what happened before the peer died counts", "[event_count]") {
  Shared const shared;
  support::RawChild peer([&] {
    shared->peer.hold();
    shared->value = 1;
    return 0;
  });
  peer.wait();
  CHECK(wait_for_value(*shared.operator->(), 1, Deadline::never(), &shared->peer) == Waited::Ready);
}

}  // namespace event_count_test

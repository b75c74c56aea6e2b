// SPDX-License-Identifier: BSL-1.0
// SIGKILL at instruction n, for n = 0, stride, 2 * stride .. until the operation is through.
//
//   MULTIPROCESSING_TEST_STRIDE=1      every instruction (hours under sanitizers)
#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <multiprocessing/shm/segment.hpp>
#include <multiprocessing/sync/event_count.hpp>
#include <multiprocessing/work/crew.hpp>
#include <multiprocessing/work/map.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/leftovers.hpp"
#include "../support/stepper.hpp"
#include "../support/tasks.hpp"

namespace kill_at_every_step_test {

namespace mp = multiprocessing;
namespace work = multiprocessing::work;
using multiprocessing::base::Deadline;
using namespace multiprocessing::sync;

namespace {

// A prime, so that over many runs of a loop all its instructions are met.
long stride() {
  return support::setting("MULTIPROCESSING_TEST_STRIDE", support::kSanitized ? 499 : 53);
}

/// For what takes longer: a pool for every attempt. No multiple of a small number, either.
long several(long steps) { return steps == 1 ? 1 : 61 * steps; }

/// A crew of one worker, and a call of map in another thread: the watchdog bites if it hangs.
class Scene {
 public:
  enum class Outcome { Right, Wrong, Died, Broken };

  ~Scene() {
    crew_.close("test");
    crew_.join("test");
  }

  pid_t worker() const {
    while (crew_.worker_pids("test").empty()) std::this_thread::yield();
    return crew_.worker_pids("test").front();
  }
  pid_t nursery() const {
    for (auto const& process : support::process_group()) {
      if (process.pid == worker()) return process.parent;
    }
    throw std::runtime_error("no such worker");
  }

  /// Squares 0 to 3, in two chunks.
  Outcome square() {
    return outcome_of([](int x) { return x * x; });
  }

  /// The same, begun in a thread; returns when there is work for the worker to claim.
  std::jthread begin(Outcome& outcome, bool deadly = false) {
    std::jthread caller([this, &outcome, deadly] {
      outcome = deadly ? outcome_of(&support::kill_self) : square();
    });
    while (crew_.board().active.load() == 0) std::this_thread::yield();
    return caller;
  }

 private:
  template <class F>
  Outcome outcome_of(F const& f) {
    try {
      auto const results = work::map(crew_, "Pool.map", 2, f, support::numbers(4));
      return results == support::squares(4) ? Outcome::Right : Outcome::Wrong;
    } catch (mp::WorkerDied const& error) {
      return error.signal() == SIGKILL ? Outcome::Died : Outcome::Wrong;
    } catch (mp::BrokenProcessPool const&) {
      return Outcome::Broken;
    }
  }

  work::Crew crew_{{.workers = 1}};
};

void wait_until_dead(pid_t pid) {
  for (;;) {
    auto const all = support::process_group();
    if (std::none_of(all.begin(), all.end(),
                     [=](auto const& p) { return p.pid == pid && p.state != 'Z'; })) {
      return;
    }
  }
}

}  // namespace

TEST_CASE("a worker is killed at every step of claim, run and settle", "[faults]") {
  Scene scene;
  int died = 0;
  int right = 0;
  auto const attempts = support::for_every_step(0, stride(), [&](long n) {
    support::Stepper worker(scene.worker());
    auto outcome = Scene::Outcome::Wrong;
    auto caller = scene.begin(outcome);
    bool const all_taken = worker.step(n) == n;
    worker.kill();
    caller.join();
    REQUIRE((outcome == Scene::Outcome::Right || outcome == Scene::Outcome::Died));
    ++(outcome == Scene::Outcome::Right ? right : died);
    REQUIRE(scene.square() == Scene::Outcome::Right);
    return all_taken;
  });
  INFO(attempts << " kills: " << died << " cost a chunk, " << right << " came too late for that");
  CHECK(attempts > 5);
  CHECK(died > 0);
  CHECK(right > 0);
}

TEST_CASE("a nursery is killed at every step of burying a worker", "[faults]") {
  int died = 0;
  int broken = 0;
  auto const attempts = support::for_every_step(0, several(stride()), [&](long n) {
    Scene scene;
    support::Stepper nursery(scene.nursery());
    auto const worker = scene.worker();
    auto outcome = Scene::Outcome::Wrong;
    auto caller = scene.begin(outcome, true);
    wait_until_dead(worker);
    bool const all_taken = nursery.step(n) == n;
    nursery.kill();
    caller.join();
    REQUIRE((outcome == Scene::Outcome::Died || outcome == Scene::Outcome::Broken));
    ++(outcome == Scene::Outcome::Died ? died : broken);
    REQUIRE(scene.square() == Scene::Outcome::Broken);
    return all_taken;
  });
  INFO(attempts << " kills: " << died << " after the news of the death, " << broken << " before");
  CHECK(attempts > 5);
  CHECK(died > 0);
  CHECK(broken > 0);
}

namespace {

struct Stage {
  EventCount event;
  std::atomic<int> value{0};
};

class Shared {
 public:
  Shared() : segment_("test", 1 << 16, 1 << 16) {
    segment_.commit({4096, sizeof(Stage)});
    stage_ = new (segment_.data(4096)) Stage;
  }
  Stage& operator*() const { return *stage_; }
  Stage* operator->() const { return stage_; }

 private:
  multiprocessing::shm::Segment segment_;
  Stage* stage_;
};

Waited wait_for_value(Stage& stage) {
  AdaptiveSpin spin;
  return stage.event.await([&] { return stage.value.load() != 0; }, Deadline::never(), spin);
}

}  // namespace

TEST_CASE("a waiter is killed at every step of its wait", "[faults]") {
  auto const attempts = support::for_every_step(0, std::max(1L, stride() / 3), [&](long n) {
    Shared const shared;
    support::Pipe go;
    support::RawChild victim([&] {
      go.hear();
      static_cast<void>(wait_for_value(*shared));
    });
    support::RawChild survivor([&] { static_cast<void>(wait_for_value(*shared)); });
    support::Stepper stepper(victim.pid());
    go.tell();
    bool const all_taken = stepper.step(n) == n;
    stepper.kill();
    shared->value = 1;
    shared->event.notify_all();
    REQUIRE(survivor.wait() == 0);
    return all_taken;
  });
  CHECK(attempts > 5);
}

TEST_CASE("a notifier is killed at every step, and the next notification mends it", "[faults]") {
  auto const attempts = support::for_every_step(0, std::max(1L, stride() / 4), [&](long n) {
    Shared const shared;
    support::Pipe go;
    support::RawChild waiter([&] { static_cast<void>(wait_for_value(*shared)); });
    support::RawChild notifier([&] {
      go.hear();
      shared->value = 1;
      shared->event.notify_all();
      for (;;) ::pause();
    });
    support::Stepper stepper(notifier.pid());
    go.tell();
    bool const all_taken = stepper.step(n) == n;
    stepper.kill();
    shared->value = 1;
    shared->event.notify_all();
    REQUIRE(waiter.wait() == 0);
    return all_taken;
  });
  CHECK(attempts > 5);
}

}  // namespace kill_at_every_step_test

// SPDX-License-Identifier: BSL-1.0
// SIGKILL at each moment, see support/scenes.hpp, of everything that a shared object can do: the
// survivors go on, lose nothing of theirs, and never wait for the dead.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include <multiprocessing/array.hpp>
#include <multiprocessing/barrier.hpp>
#include <multiprocessing/condition.hpp>
#include <multiprocessing/event.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/semaphore.hpp>
#include <multiprocessing/value.hpp>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/scenes.hpp"

namespace kill_in_sync_test {

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

using support::Scene;
using support::Steps;
using support::Survivors;

template <Steps steps = Steps::OfTheCall, class Make>
void kill_at_every_step(Make const& make, long usual_stride = 1) {
  CHECK(support::kill_at_every_step<steps>(support::stride(usual_stride), make) > 1);
}

}  // namespace

TEMPLATE_TEST_CASE("a lock is acquired and released: killed at every step", "[faults]", mp::Lock,
                   mp::RLock) {
  struct Pair : Scene {
    TestType lock;
    mp::Value<int> held{0};
    void victim() {
      lock.acquire();
      held = 1;
      held = 0;
      lock.release();
    }
    void check() {
      REQUIRE(lock.acquire(30s));
      if (held.value() == 1) REQUIRE(lock.recovered());
      lock.release();
      REQUIRE(lock.acquire(30s));
      REQUIRE_FALSE(lock.recovered());
      lock.release();
    }
  };
  kill_at_every_step([] { return Pair(); });
}

TEST_CASE("an RLock is held at depth three: killed at every step", "[faults]") {
  struct Deep : Scene {
    mp::RLock lock;
    void victim() {
      for (int i = 0; i < 3; ++i) lock.acquire();
      for (int i = 0; i < 3; ++i) lock.release();
    }
    void check() {
      REQUIRE(lock.acquire(30s));
      lock.release();
      REQUIRE_FALSE(lock.locked());
    }
  };
  kill_at_every_step([] { return Deep(); });
}

TEST_CASE("a lock is released to a waiter: killed at every step", "[faults]") {
  struct Handover : Scene {
    mp::Lock lock;
    std::unique_ptr<Survivors> survivors;
    void prepare() { lock.acquire(); }
    void begin() {
      survivors = std::make_unique<Survivors>(2, [this] {
        lock.acquire();
        lock.release();
      });
    }
    void victim() { lock.release(); }
    void check() { REQUIRE(survivors->wait() == 0); }
  };
  kill_at_every_step([] { return Handover(); });
}

TEST_CASE("a waiter for a lock is killed at every step, asleep and woken", "[faults]") {
  struct Wait : Scene {
    mp::Lock lock;
    std::unique_ptr<Survivors> other;
    Wait() {
      lock.acquire();
      other = std::make_unique<Survivors>(1, [this] { lock.acquire(); });
    }
    void victim() {
      lock.acquire();
      lock.release();
    }
    void wake() { lock.release(); }
    void check() {
      if (lock.held_by_this_thread()) lock.release();
      REQUIRE(other->wait() == 0);
      REQUIRE(lock.acquire(30s));
      lock.release();
    }
  };
  kill_at_every_step([] { return Wait(); });
  kill_at_every_step<Steps::AfterItsWaking>([] { return Wait(); });
}

TEST_CASE("a semaphore is acquired: killed at every step", "[faults]") {
  struct Acquire : Scene {
    mp::Semaphore semaphore{1};
    mp::Semaphore reclaiming{{.value = 1, .reclaim = true}};
    void victim() {
      semaphore.acquire();
      reclaiming.acquire();
      reclaiming.release();
      reclaiming.acquire();
    }
    void check() {
      REQUIRE(semaphore.get_value() <= 1);
      if (semaphore.get_value() == 0) semaphore.release();
      REQUIRE(semaphore.acquire(30s));
      REQUIRE(reclaiming.acquire(30s));
      REQUIRE_FALSE(reclaiming.try_acquire());
      reclaiming.release();
    }
  };
  kill_at_every_step([] { return Acquire(); });
}

TEST_CASE("a semaphore is released to a waiter: killed at every step", "[faults]") {
  struct Release : Scene {
    mp::Semaphore semaphore;
    std::unique_ptr<Survivors> waiter;
    explicit Release(mp::Semaphore const& shared) : semaphore(shared) {
      waiter = std::make_unique<Survivors>(1, [this] { semaphore.acquire(); });
    }
    void victim() { semaphore.release(); }
    void check() {
      if (!waiter->end_unless([this] { return semaphore.get_value() == 0; })) semaphore.release();
      REQUIRE(waiter->wait() == 0);
      REQUIRE(semaphore.get_value() <= 1);
    }
  };
  kill_at_every_step([] { return Release(mp::Semaphore(0)); });
  kill_at_every_step([] {
    mp::BoundedSemaphore const bounded(1);
    bounded.acquire();
    return Release(bounded);
  });
}

TEST_CASE("the holder of a reclaiming semaphore releases to a waiter: killed at every step",
          "[faults]") {
  struct Release : Scene {
    mp::Semaphore semaphore{{.value = 1, .reclaim = true}};
    std::unique_ptr<Survivors> waiter;
    void prepare() { semaphore.acquire(); }
    void begin() {
      waiter = std::make_unique<Survivors>(1, [this] { semaphore.acquire(); });
    }
    void victim() { semaphore.release(); }
    void check() {
      REQUIRE(waiter->wait() == 0);
      REQUIRE(semaphore.get_value() == 1);
    }
  };
  kill_at_every_step([] { return Release(); });
}

TEST_CASE("a waiter at a reclaiming semaphore is killed at every step, asleep and woken",
          "[faults]") {
  struct Wait : Scene {
    mp::Semaphore semaphore{{.value = 1, .reclaim = true}};
    Wait() { semaphore.acquire(); }
    void victim() { semaphore.acquire(); }
    void wake() { semaphore.release(); }
    void check() {
      if (semaphore.get_value() == 0) semaphore.release();
      semaphore.acquire();
    }
  };
  kill_at_every_step([] { return Wait(); });
  kill_at_every_step<Steps::AfterItsWaking>([] { return Wait(); });
}

TEST_CASE("a waiter at a semaphore is killed at every step, asleep and woken", "[faults]") {
  struct Wait : Scene {
    mp::Semaphore semaphore{0};
    std::unique_ptr<Survivors> other;
    Wait() {
      other = std::make_unique<Survivors>(1, [this] { semaphore.acquire(); });
    }
    void victim() { semaphore.acquire(); }
    void wake() {
      semaphore.release();
      semaphore.release();
    }
    void check() {
      // Two for the other and the victim, if they were not there yet; one may die with the victim.
      while (!other->end_unless([this] { return semaphore.get_value() == 0; })) semaphore.release();
      REQUIRE(other->wait() == 0);
    }
  };
  kill_at_every_step([] { return Wait(); });
  kill_at_every_step<Steps::AfterItsWaking>([] { return Wait(); });
}

TEST_CASE("an event is set: killed at every step", "[faults]") {
  struct Set : Scene {
    mp::Event event;
    Survivors waiters{2, [this] { event.wait(); }};
    void victim() { event.set(); }
    void check() {
      if (!waiters.end_unless([this] { return !event.is_set(); })) {
        REQUIRE(waiters.ended() == 0);
        event.set();
      }
      REQUIRE(waiters.wait() == 0);
    }
  };
  kill_at_every_step([] { return Set(); });
}

TEST_CASE("an event is waited for and cleared: killed at every step", "[faults]") {
  struct Wait : Scene {
    mp::Event event;
    void victim() {
      event.wait();
      event.clear();
    }
    void wake() { event.set(); }
    void check() {
      event.clear();
      Survivors waiter(1, [this] { event.wait(); });
      event.set();
      REQUIRE(waiter.wait() == 0);
    }
  };
  kill_at_every_step([] { return Wait(); });
  kill_at_every_step<Steps::AfterItsWaking>([] { return Wait(); });
}

namespace {

struct Meeting : Scene {
  mp::Condition condition;
  mp::Value<int> woken{0};
  std::unique_ptr<Survivors> sleepers;

  void fall_asleep() const {
    std::scoped_lock const guard(condition);
    condition.wait();
    woken.update([](int& n) { ++n; });
  }
  void start(int count) {
    sleepers = std::make_unique<Survivors>(count, [this] { fall_asleep(); });
  }
  void notify(int count) const {
    REQUIRE(condition.acquire(30s));
    condition.notify(count);
    condition.release();
  }
};

}  // namespace

TEST_CASE("a condition is notified: killed at every step", "[faults]") {
  struct Notify : Meeting {
    Notify() { start(2); }
    void victim() {
      std::scoped_lock const guard(condition);
      condition.notify(1);
    }
    void check() {
      notify(1);
      sleepers->end_unless([this] { return woken.value() >= 1; });
      REQUIRE(woken.value() >= 1);
      notify(1);
      REQUIRE(sleepers->wait() == 0);
      REQUIRE(woken.value() == 2);
    }
  };
  kill_at_every_step([] { return Notify(); });
}

TEST_CASE("all sleepers at a condition are notified: killed at every step", "[faults]") {
  struct Notify : Meeting {
    Notify() { start(2); }
    void victim() {
      std::scoped_lock const guard(condition);
      condition.notify_all();
    }
    void check() {
      condition.acquire();
      condition.notify_all();
      condition.release();
      REQUIRE(sleepers->wait() == 0);
      REQUIRE(woken.value() == 2);
    }
  };
  kill_at_every_step([] { return Notify(); });
}

TEST_CASE("a sleeper at a condition is killed at every step, asleep and woken", "[faults]") {
  struct Sleep : Meeting {
    void victim() {
      std::scoped_lock const guard(condition);
      condition.wait();
    }
    void wake() { notify(1); }
    void check() {
      start(1);
      notify(1);  // is not for the dead
      REQUIRE(sleepers->wait() == 0);
      REQUIRE(woken.value() == 1);
    }
  };
  kill_at_every_step([] { return Sleep(); });
  kill_at_every_step<Steps::AfterItsWaking>([] { return Sleep(); });
}

namespace {

/// 0: passed, 1: broken.
int wait_at(mp::Barrier const& barrier) {
  try {
    barrier.wait();
    return 0;
  } catch (mp::BrokenBarrierError const&) {
    return 1;
  }
}

struct Gathering : Scene {
  mp::Barrier barrier;
  int count;
  Survivors waiters;

  Gathering(int parties, int waiting, mp::BarrierOptions const& options = {})
      : barrier(options, parties),
        count(waiting),
        waiters(waiting, [this] { return wait_at(barrier); }) {}

  /// Those who wait have all passed, all been told, or wait rightly: for who never came.
  void all_or_none() {
    bool const ended =
        waiters.end_unless([this] { return barrier.n_waiting() == count && !barrier.broken(); });
    if (!ended) barrier.abort();
    int const broken = waiters.wait();
    REQUIRE((broken == count || (ended && broken == 0)));
    barrier.reset();
    Survivors next(barrier.parties() - 1, [this] { return wait_at(barrier); });
    REQUIRE(wait_at(barrier) == 0);
    REQUIRE(next.wait() == 0);
  }
};

}  // namespace

TEST_CASE("a party comes to a barrier and waits: killed at every step", "[faults]") {
  struct Come : Gathering {
    Come() : Gathering(3, 1) {}
    void victim() { wait_at(barrier); }
    void check() { all_or_none(); }
  };
  kill_at_every_step([] { return Come(); });
}

TEST_CASE("the last party comes to a barrier: killed at every step", "[faults]") {
  struct Come : Gathering {
    Come() : Gathering(3, 2) {}
    void victim() { wait_at(barrier); }
    void check() { all_or_none(); }
  };
  kill_at_every_step([] { return Come(); });
}

TEST_CASE("the last party at a barrier runs its action: killed at every step", "[faults]") {
  struct Act : Gathering {
    explicit Act(mp::RawValue<int> const& runs)
        : Gathering(3, 2, {.action = [=] { runs = runs.value() + 1; }}) {}
    void victim() { wait_at(barrier); }
    void check() { all_or_none(); }
  };
  mp::RawValue<int> const runs(0);
  kill_at_every_step([&] { return Act(runs); });
  CHECK(runs.value() > 0);
}

TEST_CASE("a party that passes a barrier is killed at every step on its way out", "[faults]") {
  struct Leave : Gathering {
    Leave() : Gathering(3, 1) {}
    void victim() { wait_at(barrier); }
    void wake() { REQUIRE(wait_at(barrier) == 0); }
    void check() {
      REQUIRE(waiters.wait() == 0);
      barrier.reset();
      Survivors next(2, [this] { return wait_at(barrier); });
      REQUIRE(wait_at(barrier) == 0);
      REQUIRE(next.wait() == 0);
    }
  };
  kill_at_every_step<Steps::AfterItsWaking>([] { return Leave(); });
}

TEST_CASE("a barrier is aborted or reset: killed at every step", "[faults]") {
  struct Abort : Gathering {
    Abort() : Gathering(3, 2) {}
    void victim() { barrier.abort(); }
    void check() { all_or_none(); }
  };
  struct Reset : Abort {
    void victim() { barrier.reset(); }
  };
  kill_at_every_step([] { return Abort(); });
  kill_at_every_step([] { return Reset(); });
}

TEST_CASE("a value is updated: killed at every step, it is old or new", "[faults]") {
  struct Pair {
    long a;
    long b;
    long c[6];
  };
  struct Update : Scene {
    mp::Value<Pair> value;
    void victim() {
      value.update([](Pair& pair) { pair = {1, 1, {1, 1, 1, 1, 1, 1}}; });
      value = {2, 2, {2, 2, 2, 2, 2, 2}};
    }
    void check() {
      auto const now = value.value();
      REQUIRE(now.a == now.b);
      for (long const c : now.c) REQUIRE(c == now.a);
      value = {3, 3, {}};
      REQUIRE(value.value().a == 3);
    }
  };
  kill_at_every_step([] { return Update(); });
}

TEST_CASE("memory is allocated and freed: killed at every step", "[faults]") {
  struct Allocate : Scene {
    mp::shm::Arena* arena = &mp::shm::Heap::instance().arena();
    mp::shm::Number before = arena->used_blocks();
    Allocate() { arena->trim(); }  // to clear what is warm takes as many steps as it has bytes
    void victim() {
      mp::RawValue<int> const small(1);
      mp::RawArray<int> const large(100'000);
    }
    void check() {
      {
        mp::RawArray<int> const zeros(100'000);
        REQUIRE(std::ranges::count(zeros, 0) == 100'000);
        mp::RawValue<int> const zero;
        REQUIRE(zero.value() == 0);
      }
      arena->bury_the_dead();
      REQUIRE(arena->used_blocks() == before);
    }
  };
  kill_at_every_step([] { return Allocate(); }, 2);
}

}  // namespace kill_in_sync_test

// SPDX-License-Identifier: BSL-1.0
#include <multiprocessing/sync/biased_lock.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/helpers.hpp"
#include "../support/in_heap.hpp"
#include "../support/stepper.hpp"

namespace biased_lock_test {

using multiprocessing::base::Deadline;
using namespace multiprocessing::sync;
namespace os = multiprocessing::os;
using namespace std::chrono_literals;

namespace {

struct Stage {
  explicit Stage(std::uint64_t block) : lock(LockName::of(block, 0)) {}

  BiasedLock lock;
  long guarded = 0;
  std::atomic<bool> is_told{false};
};
using Shared = support::InHeap<Stage>;

bool has_bias(BiasedLock& lock) {
  return static_cast<bool>(lock.try_enter_by_bias(this_thread_seated()));
}
void enter_and_leave(BiasedLock& lock) {
  static_cast<void>(lock.enter(this_thread_seated(), Deadline::never()));
}
/// How often the calling thread has to come until it has the bias.
int get_bias(BiasedLock& lock) {
  int visits = 0;
  for (; !has_bias(lock); ++visits) enter_and_leave(lock);
  return visits;
}
/// Whether the last one inside died there.
bool enter_recovered(BiasedLock& lock) {
  auto const inside = lock.enter(this_thread_seated(), Deadline::never());
  return inside.recovered();
}
/// A lock has no bias where the kernel has no barrier.
bool can_have_bias() { return this_thread_seated().hears_barriers; }

/// A child that stays inside; returns when it is there.
template <class Prepare>
std::unique_ptr<support::RawChild> stay_inside(BiasedLock& lock, Prepare const& prepare) {
  support::Pipe inside;
  auto child = std::make_unique<support::RawChild>([&] {
    prepare();
    auto const guard = lock.enter(this_thread_seated(), Deadline::never());
    inside.tell();
    for (;;) ::pause();
  });
  inside.hear();
  return child;
}

}  // namespace

TEST_CASE("who comes alone, again and again, gets the bias", "[biased_lock]") {
  if (!can_have_bias()) return;
  Shared const shared;
  CHECK_FALSE(has_bias(shared->lock));
  CHECK(get_bias(shared->lock) > 1);
  enter_and_leave(shared->lock);
  CHECK(has_bias(shared->lock));
}

TEST_CASE("another thread takes the bias away, and it is harder to get then", "[biased_lock]") {
  if (!can_have_bias()) return;
  Shared const shared;
  int const first = get_bias(shared->lock);
  std::thread([&] { enter_and_leave(shared->lock); }).join();
  CHECK_FALSE(has_bias(shared->lock));
  CHECK(get_bias(shared->lock) > first);
}

TEST_CASE("who has the bias keeps others out as long as it is inside", "[biased_lock]") {
  for (bool const by_bias : {true, false}) {
    Shared const shared;
    if (by_bias && can_have_bias()) get_bias(shared->lock);
    {
      auto const guard = shared->lock.enter(this_thread_seated(), Deadline::never());
      REQUIRE(guard);
      support::RawChild other([&] {
        auto const deadline = Deadline::after(20ms);
        auto const late = shared->lock.enter(this_thread_seated(), deadline);
        return !late && deadline.passed() ? 0 : 1;
      });
      CHECK(other.wait() == 0);
    }
    support::RawChild other([&] {
      auto const in_time = shared->lock.enter(this_thread_seated(), Deadline::never());
      return in_time && !in_time.recovered() ? 0 : 1;
    });
    CHECK(other.wait() == 0);
    CHECK_FALSE(enter_recovered(shared->lock));
  }
}

TEST_CASE("a thread that is inside one lock enters another, whoever that favours",
          "[biased_lock]") {
  Shared const outer;
  Shared const inner;
  if (can_have_bias()) {
    get_bias(outer->lock);
    get_bias(inner->lock);
  }
  for (int i = 0; i < 100; ++i) {
    auto const first = outer->lock.enter(this_thread_seated(), Deadline::never());
    auto const second = inner->lock.enter(this_thread_seated(), Deadline::never());
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE_FALSE(second.recovered());
  }
}

TEST_CASE("who is killed inside leaves the lock to the next one, who is told", "[biased_lock]") {
  for (bool const by_bias : {true, false}) {
    Shared const shared;
    auto const victim = stay_inside(shared->lock, [&] {
      if (by_bias && can_have_bias()) get_bias(shared->lock);
    });
    victim->kill();
    victim->wait();
    // Others sit down meanwhile: not on the seat that is the evidence.
    std::thread([] { this_thread_seated(); }).join();
    support::RawChild([] { this_thread_seated(); }).wait();
    CHECK(enter_recovered(shared->lock));
    CHECK_FALSE(enter_recovered(shared->lock));
  }
}

TEST_CASE("one who is killed while it takes the bias from the dead hides nothing",
          "[biased_lock][faults]") {
  if (!can_have_bias()) return;
  long const stride =
      support::setting("MULTIPROCESSING_TEST_STRIDE", support::kSanitized ? 997 : 41);
  auto const attempts = support::for_every_step(0, stride, [&](long n) {
    Shared const shared;
    auto const first = stay_inside(shared->lock, [&] { get_bias(shared->lock); });
    first->kill();
    first->wait();
    support::Pipe ready;
    support::Pipe go;
    support::RawChild second([&] {
      auto const& me = this_thread_seated();
      ready.tell();
      go.hear();
      {
        auto const inside = shared->lock.enter(me, Deadline::never());
        if (!inside.recovered()) return 1;
        shared->is_told = true;
      }
      for (;;) ::pause();
    });
    ready.hear();
    support::wait_until_asleep(second.pid());
    support::Stepper stepper(second.pid());
    go.tell();
    bool const all_taken = stepper.step(n) == n;
    stepper.kill();
    bool const is_recovered = enter_recovered(shared->lock);
    if (!shared->is_told) REQUIRE(is_recovered);
    REQUIRE_FALSE(enter_recovered(shared->lock));
    return all_taken;
  });
  CHECK(attempts > 3);
}

TEST_CASE("a biased lock keeps threads apart, while the bias comes and goes",
          "[biased_lock][threads][stress]") {
  Shared const shared;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      auto const& me = this_thread_seated();
      for (long n = 0; n < rounds; ++n) {
        auto const inside = shared->lock.enter(me, Deadline::never());
        ++shared->guarded;
        if (t != 0 && n % 100 == 0) std::this_thread::yield();  // inside, now and then
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(shared->guarded == 3 * rounds);
}

TEST_CASE("a thread that has the bias and one that comes seldom keep apart",
          "[biased_lock][threads][stress]") {
  Shared const shared;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 200);
  std::atomic<bool> is_over{false};
  std::atomic<long> visits{0};
  std::thread favoured([&] {
    auto const& me = this_thread_seated();
    while (!is_over) {
      auto const inside = shared->lock.enter(me, Deadline::never());
      ++shared->guarded;
      ++visits;
    }
  });
  auto const& me = this_thread_seated();
  for (long n = 0; n < rounds; ++n) {
    for (long const seen = visits; visits < seen + 100;) std::this_thread::yield();
    auto const inside = shared->lock.enter(me, Deadline::never());
    ++shared->guarded;
  }
  is_over = true;
  favoured.join();
  CHECK(shared->guarded == visits + rounds);
}

TEST_CASE("a biased lock keeps processes apart, in bursts and in turns", "[biased_lock][stress]") {
  Shared const shared;
  long const rounds = support::setting("MULTIPROCESSING_TEST_ROUNDS", 20'000);
  std::vector<std::unique_ptr<support::RawChild>> children;
  for (long burst : {1L, 100L, 1000L}) {
    children.push_back(std::make_unique<support::RawChild>([&, burst] {
      auto const& me = this_thread_seated();
      for (long n = 0; n < rounds; ++n) {
        {
          auto const inside = shared->lock.enter(me, Deadline::never());
          if (inside.recovered()) return 1;
          ++shared->guarded;
        }
        if (n % burst == 0) std::this_thread::yield();
      }
      return 0;
    }));
  }
  for (auto& child : children) CHECK(child->wait() == 0);
  CHECK(shared->guarded == 3 * rounds);
}

TEST_CASE("a thread that ends leaves the bias to nobody's harm", "[biased_lock]") {
  Shared const shared;
  if (can_have_bias()) std::thread([&] { get_bias(shared->lock); }).join();
  std::thread([&] { CHECK_FALSE(enter_recovered(shared->lock)); }).join();
  CHECK_FALSE(enter_recovered(shared->lock));
  support::RawChild child([&] { return enter_recovered(shared->lock) ? 1 : 0; });
  CHECK(child.wait() == 0);
}

}  // namespace biased_lock_test

// SPDX-License-Identifier: BSL-1.0
// The counter of a semaphore in shared memory.
//
// Who finds it at zero queues at a robust mutex, and only the first in the queue sleeps for the
// counter itself: so a release wakes one waiter, and when that one is killed the kernel lets the
// next one come to the front, where it looks at the counter anew.
#pragma once

#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/wait_word.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. Threads and processes: all members safe.
class Counter {
 public:
  static constexpr std::uint32_t kLargest = WaitWord::kLargest;

  /// `bound`: above it, release() refuses.
  Counter(std::uint32_t value, std::uint32_t bound) : count_(value), bound_(bound) {}

  /// Blocks: until it was above zero and has been lowered, or the deadline. False: the latter.
  bool acquire(base::Deadline deadline) {
    if (!count_.is_watched() && try_acquire()) return true;
    if (queue_.try_lock()) return acquire_in_front(deadline);  // also clears a dead sleeper's mark
    auto& spin = AdaptiveSpin::of_this_thread();
    while (!deadline.passed() && spin([this] { return count_.value() > 0; })) {
      if (try_acquire()) return true;
    }
    // Who is in front may have been stopped: look past it now and then.
    for (;;) {
      auto const check = earlier(deadline, base::Deadline::after(kCheck));
      if (queue_.lock_until(check)) return acquire_in_front(deadline);
      if (try_acquire()) return true;
      if (deadline.passed()) return false;
    }
  }

  bool try_acquire() noexcept {
    for (auto value = count_.value(); value > 0;) {
      if (count_.exchange_quietly(value, value - 1)) return true;
    }
    return false;
  }

  /// False, and nothing happened, when it is at the bound. Two releases too many in the same
  /// instant, while somebody may sleep, can both be taken.
  bool release() noexcept {
    for (;;) {
      auto const value = count_.value();
      if (value >= bound_) return false;
      switch (count_.exchange_unwatched(value, value + 1)) {
        case WaitWord::Exchanged::Done:
          return true;
        case WaitWord::Exchanged::Watched:
          if (clear_mark_of_the_dead()) break;
          count_.add(1, 1);
          return true;
        case WaitWord::Exchanged::Differs:
          break;
      }
    }
  }

  std::uint32_t value() const noexcept { return count_.value(); }

 private:
  static constexpr auto kPositive = [](std::uint32_t value) { return value > 0; };

  // Often enough for who waits behind a process that stands still, seldom enough to cost nothing.
  static constexpr std::chrono::seconds kCheck{1};

  /// When nobody is in front, nobody sleeps.
  bool clear_mark_of_the_dead() noexcept {
    if (!queue_.try_lock()) return false;
    auto value = count_.value();
    while (!count_.exchange_alone(value, value)) {
    }
    queue_.unlock();
    return true;
  }

  /// REQUIRES: holds the queue, and lets go of it.
  bool acquire_in_front(base::Deadline deadline) {
    base::ScopeGuard const leave([this] { queue_.unlock(); });
    return take_in_front(deadline);
  }

  bool take_in_front(base::Deadline deadline) {
    while (count_.await(kPositive, deadline) == Waited::Ready) {
      for (auto value = count_.value(); value > 0;) {
        if (count_.exchange_alone(value, value - 1)) return true;
      }
    }
    return false;
  }

  WaitWord count_;
  std::uint32_t bound_;
  os::RobustMutex queue_;
};

}  // namespace multiprocessing::sync

// SPDX-License-Identifier: BSL-1.0
// Spinning before sleeping, for as long as it has been worth it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/processors.hpp>

namespace multiprocessing::sync {

/// One per place that waits; lives in the waiter's own memory. A spin that paid off doubles the
/// next one, a spin in vain halves it: with more runnable processes than processors the waited-for
/// process can not run while we spin, and the spin shrinks to next to nothing.
/// Threads: external synchronization.
class AdaptiveSpin {
 public:
  /// For places that many threads share: what this thread has found worth it lately.
  static AdaptiveSpin& of_this_thread() {
    static thread_local AdaptiveSpin spin;
    return spin;
  }

  /// Whether `ready()` became true while spinning.
  template <class Ready>
  bool operator()(Ready const& ready) {
    auto const end = base::Deadline::Clock::now() + budget_;
    do {
      for (int i = 0; i < kRelaxesBetweenLooksAtTheClock; ++i) {
        if (ready()) {
          budget_ = std::min(2 * budget_, longest_);
          return true;
        }
        os::relax_processor();
      }
    } while (base::Deadline::Clock::now() < end);
    budget_ = std::max(budget_ / 2, kShortest);
    return false;
  }

 private:
  /// Whether there is one processor only, so that nobody can run while we spin. Asked once a
  /// process; a plain atomic, because the guard of another kind of static could be locked for ever
  /// by a fork.
  static bool is_alone() noexcept {
    static std::atomic<int> processors{0};
    if (processors.load() == 0) processors = os::usable_processors();
    return processors.load() == 1;
  }

  using Duration = base::Deadline::Clock::duration;

  // About one futex wake-up (31-33 us between two processes on a 2-core virtual machine): longer
  // costs more than sleeping would have.
  static constexpr Duration kLongest = std::chrono::microseconds(30);
  // Cheap enough to try always, long enough to notice that spinning pays off again.
  static constexpr Duration kShortest = std::chrono::microseconds(1);
  // A look at the clock costs about as much as this many.
  static constexpr int kRelaxesBetweenLooksAtTheClock = 16;

  Duration longest_ = is_alone() ? kShortest : kLongest;
  Duration budget_ = kShortest * 8;  // between the two, as nothing is known yet
};

}  // namespace multiprocessing::sync

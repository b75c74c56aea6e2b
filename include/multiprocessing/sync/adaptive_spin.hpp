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
/// next one, a spin in vain halves it. Two who hand each other turns would never leave the state in
/// which both sleep, because neither is awake by the time the other's short spin is over: so every
/// now and then one spin in a row of vain ones is long.
/// After some microseconds a spin lets others run: the waited-for process may be one of them. At
/// once when that is known.
/// Threads: external synchronization.
class AdaptiveSpin {
 public:
  /// For places that many threads share: what this thread has found worth it lately.
  static AdaptiveSpin& of_this_thread() {
    static thread_local AdaptiveSpin spin;
    return spin;
  }

  static constexpr int kAnywhere = -1;

  /// Whether `ready()` became true while spinning. `processor`: the number of the one on which
  /// whoever is waited for has run last.
  template <class Ready>
  bool operator()(Ready const& ready, int processor = kAnywhere) {
    auto const begin = base::Deadline::Clock::now();
    bool const is_trial = failures_ % kFailuresATrial == kFailuresATrial - 1;
    auto const budget = is_trial ? longest_ : budget_;
    bool const is_in_its_way = processor != kAnywhere && processor == os::this_processor();
    auto const before_yielding = is_in_its_way ? Duration{} : kBeforeYielding;
    for (Duration spent{}; spent < budget; spent = base::Deadline::Clock::now() - begin) {
      if (spent >= before_yielding) os::yield_processor();
      for (int i = 0; i < kRelaxesBetweenLooksAtTheClock; ++i) {
        if (ready()) {
          budget_ = std::min(2 * budget, longest_);
          failures_ = 0;
          return true;
        }
        os::relax_processor();
      }
    }
    budget_ = std::max(budget_ / 2, kShortest);
    ++failures_;
    return false;
  }

 private:
  /// Whether nobody can run while we spin: the machine has one processor only. That this process is
  /// pinned to one means nothing: those it waits for may run on others. Asked once a process; a
  /// plain atomic, because the guard of another kind of static could be locked for ever by a fork.
  static bool is_alone() noexcept {
    static std::atomic<int> processors{0};
    if (processors.load() == 0) processors = os::logical_processors();
    return processors.load() == 1;
  }

  using Duration = base::Deadline::Clock::duration;

  // About one futex wake-up (31-33 us between two processes on a 2-core virtual machine) and what
  // is done then: longer costs more than sleeping would have.
  static constexpr Duration kLongest = std::chrono::microseconds(50);
  // A vain trial costs somewhat more than a sleep: a tenth of the time of those who only sleep.
  static constexpr unsigned kFailuresATrial = 16;
  // Longer than most hand-offs between processors take, shorter than any between processes of one.
  static constexpr Duration kBeforeYielding = std::chrono::microseconds(4);
  // Cheap enough to try always, long enough to notice that spinning pays off again.
  static constexpr Duration kShortest = std::chrono::microseconds(1);
  // A look at the clock costs about as much as this many.
  static constexpr int kRelaxesBetweenLooksAtTheClock = 16;

  Duration const longest_ = is_alone() ? kShortest : kLongest;
  Duration budget_ = kShortest * 8;  // between the two, as nothing is known yet
  unsigned failures_ = 0;            // in a row
};

}  // namespace multiprocessing::sync

// SPDX-License-Identifier: BSL-1.0
// How somebody who sleeps is told of a change by one who pays nothing for it as long as nobody
// does.
//
//   sleeper                                  who changes something
//   flag = up                                changes it
//   a barrier for all threads                flag up? down, and wake all
//   ready? return
//   sleeps while the flag is up
//
// The change is an ordinary store, so it may become visible after the look at the flag; the
// sleeper's barrier (os/membarrier.hpp) rules that out, and only who sleeps pays for it.
//
// Failure   killed between the change and the wake: the sleepers watch the lives of those who could
//           change something. A dead sleeper leaves the flag up: one wake for nobody.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/membarrier.hpp>
#include <multiprocessing/sync/park.hpp>
#include <multiprocessing/sync/seats.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. Threads and processes: all members safe.
class QuietFlag {
 public:
  /// To be called after each change, by the calling thread `me`. No system call while nobody
  /// sleeps.
  [[gnu::always_inline]] bool tell(Seated const& me) noexcept {
    if (!me.hears_barriers) return tell();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return is_raised(word_.load(std::memory_order_relaxed)) && tell_sleepers();
  }

  /// ... by who does not do it often.
  bool tell() noexcept {
    // An atomic step, so that either it sees the flag, or who puts it up later sees the change.
    return is_raised(word_.fetch_or(0)) && tell_sleepers();
  }

  /// The next tell() is true. What has changed before is visible when this returns; false: or not
  /// yet, because this process can not make a barrier.
  [[nodiscard]] bool arm_bells() noexcept {
    word_.fetch_or(kBells);
    return os::barrier_everywhere();
  }
  /// Again, by who was told that bells are armed and could not ring them.
  void rearm_bells() noexcept { word_.fetch_or(kBells); }

  /// Blocks: until `ready()`, the deadline, or news of one of `peers`. Does not spin.
  template <class Ready>
  Waited await(Ready const& ready, base::Deadline deadline, Peers peers) {
    for (;;) {
      auto const flag = word_.fetch_or(kUp) | kUp;
      bool const is_sure = os::barrier_everywhere();
      if (ready()) return Waited::Ready;
      if (deadline.passed()) return Waited::TimedOut;
      auto const until = is_sure ? deadline : earlier(deadline, base::Deadline::after(kCheck));
      if (!park({&word_, flag}, peers, until)) {
        return ready() ? Waited::Ready : Waited::PeerDied;
      }
      if (ready()) return Waited::Ready;
    }
  }

 private:
  // Above the flags the word counts how often they were lowered: who was about to sleep when that
  // happened does not, even when another has raised one again by then.
  static constexpr std::uint32_t kUp = 1;  ///< somebody sleeps
  static constexpr std::uint32_t kBells = 2;
  static constexpr std::uint32_t kFlags = kUp | kBells;

  // Where there is no barrier a change may be overlooked for this long.
  static constexpr std::chrono::milliseconds kCheck{10};

  static bool is_raised(std::uint32_t word) noexcept { return (word & kFlags) != 0; }

  bool tell_sleepers() noexcept {
    auto word = word_.load();
    while (!word_.compare_exchange_weak(word, (word & ~kFlags) + kFlags + 1)) {
    }
    if ((word & kUp) != 0) os::futex_wake(word_);
    return (word & kBells) != 0;
  }

  os::FutexWord word_{0};
};

}  // namespace multiprocessing::sync

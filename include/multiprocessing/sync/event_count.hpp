// SPDX-License-Identifier: BSL-1.0
// The one wait of this library: until a condition on shared memory holds, a deadline passes, or the
// process that could make it hold is dead.
//
//   waiter                                   notifier
//   key = sequence                           makes the condition true
//   arrivals += 1                            seen = arrivals
//   condition true? return                   sequence += 1
//   sleep while sequence == key              arrivals != quiet? wake all, quiet = seen
//
// Whoever arrived by `seen` read its key before the new sequence, so the kernel refuses to let it
// sleep, or the wake finds it: after the wake, none of them sleeps. That is all `quiet` says.
// Failure   A waiter killed anywhere leaves at most arrivals != quiet: one wake for nobody.
//           A notifier killed before it woke leaves quiet as it was, so any later notify_all()
//           wakes; whoever watches over the notifier makes that call.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/life_lock.hpp>

namespace multiprocessing::sync {

enum class [[nodiscard]] Waited{Ready, TimedOut, PeerDied};

/// Lives inside a segment; all zeros is a valid initial state.
/// Threads and processes: all members safe.
class EventCount {
 public:
  /// Wakes everybody who waits. No system call while nobody does. Async-signal-safe.
  void notify_all() noexcept {
    std::uint32_t const seen = arrivals_.load();
    sequence_.fetch_add(1);
    if (arrivals_.load() == quiet_.load()) return;
    os::futex_wake(sequence_);
    quiet_.store(seen);
  }

  /// Blocks: until `ready()`, which others make true before they call notify_all(). Spins first.
  /// Peer death: `PeerDied` once the holder of `peer` (may be null) is dead and not `ready()`.
  template <class Ready>
  Waited await(Ready const& ready, base::Deadline deadline, AdaptiveSpin& spin,
               LifeLock* peer = nullptr) {
    if (ready() || spin(ready)) return Waited::Ready;
    for (;;) {
      std::uint32_t const key = sequence_.load();
      arrivals_.fetch_add(1);
      if (ready()) return Waited::Ready;
      if (deadline.passed()) return Waited::TimedOut;
      if (peer == nullptr) {
        static_cast<void>(os::futex_wait(sequence_, key, deadline));
      } else if (!sleep_beside(*peer, key, deadline)) {
        return ready() ? Waited::Ready : Waited::PeerDied;
      }
      if (ready()) return Waited::Ready;
    }
  }

 private:
  // How late a death may be noticed where the kernel can't wait for two words at once.
  static constexpr std::chrono::milliseconds kLivenessCheck{10};

  /// Sleeps; false when the peer is dead.
  bool sleep_beside(LifeLock& peer, std::uint32_t key, base::Deadline deadline) {
    auto const watched = peer.watch();
    if (!watched) {
      peer.spread_death();
      return false;
    }
    if (os::futex_wait_either({&sequence_, key}, *watched, deadline) ==
        os::FutexResult::Unsupported) {
      auto const slice = earlier(deadline, base::Deadline::after(kLivenessCheck));
      static_cast<void>(os::futex_wait(sequence_, key, slice));
    }
    if (!peer.holder_is_dead()) return true;
    // The kernel woke one sleeper only. Whatever else woke this one: it may have been the one.
    peer.spread_death();
    return false;
  }

  os::FutexWord sequence_{0};
  os::FutexWord arrivals_{0};
  os::FutexWord quiet_{0};
};
static_assert(sizeof(EventCount) == 12);

}  // namespace multiprocessing::sync

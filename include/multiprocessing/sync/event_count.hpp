// SPDX-License-Identifier: BSL-1.0
// A wait for a condition on any words of shared memory, until it holds, a deadline passes, or the
// process that could make it hold is dead. Where one word is the whole condition, see WaitWord.
//
//   waiter                                   notifier
//   key = sequence                           makes the condition true
//   arrivals += 1                            seen = arrivals
//   condition true? return                   seen == quiet? return
//   sleep while sequence == key              sequence += 1, wake all, quiet = seen
//
// Whoever arrived by `seen` read its key before the new sequence, so the kernel refuses to let it
// sleep, or the wake finds it: after the wake, none of them sleeps. That is all `quiet` says. Who
// arrives after `seen` finds the condition true, because all these steps are seq_cst; so the one
// that makes it true has to be, too. While nobody waits, a notifier writes nothing here.
// Failure   A waiter killed anywhere leaves at most arrivals != quiet: one wake for nobody.
//           A notifier killed before it woke leaves quiet as it was, so any later notify_all()
//           wakes; whoever watches over the notifier makes that call.
#pragma once

#include <cstdint>
#include <optional>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/shm/life_lock.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/park.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment; all zeros is a valid initial state.
/// Threads and processes: all members safe.
class EventCount {
 public:
  /// Wakes everybody who waits. REQUIRES: what they wait for was made true by a seq_cst step.
  /// No system call, and no write, while nobody waits. Async-signal-safe.
  void notify_all() noexcept {
    std::uint32_t const seen = arrivals_.load();
    if (seen == quiet_.load()) return;
    sequence_.fetch_add(1);
    os::futex_wake(sequence_);
    quiet_.store(seen);
  }

  /// What holds until the next notify_all(), for who sleeps on several words: who calls this and
  /// then finds its condition untrue may sleep on it.
  os::FutexExpectation arrive() noexcept {
    std::uint32_t const key = sequence_.load();
    arrivals_.fetch_add(1);
    return {&sequence_, key};
  }

  /// Blocks: until `ready()`, which others make true before they call notify_all(). Spins first.
  /// Peer death: `PeerDied` once the holder of `peer` (may be null) is dead and not `ready()`.
  /// `processor`: see AdaptiveSpin.
  template <class Ready>
  Waited await(Ready const& ready, base::Deadline deadline, AdaptiveSpin& spin,
               shm::LifeLock* peer = nullptr, int processor = AdaptiveSpin::kAnywhere) {
    if (ready() || spin(ready, processor)) return Waited::Ready;
    std::optional<Peer> watched;
    if (peer != nullptr) watched.emplace(*peer);
    auto const peers = watched ? Peers(&*watched, 1) : Peers();
    for (;;) {
      auto const quiet = arrive();
      if (ready()) return Waited::Ready;
      if (deadline.passed()) return Waited::TimedOut;
      if (!park(quiet, peers, deadline)) {
        return ready() ? Waited::Ready : Waited::PeerDied;
      }
      if (ready()) return Waited::Ready;
    }
  }

 private:
  os::FutexWord sequence_{0};
  os::FutexWord arrivals_{0};
  os::FutexWord quiet_{0};
};
static_assert(sizeof(EventCount) == 12);

}  // namespace multiprocessing::sync

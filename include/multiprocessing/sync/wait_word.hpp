// SPDX-License-Identifier: BSL-1.0
// A number in shared memory that processes wait for. Its change and the wake of those who sleep are
// one step, also for who is killed: no sleeper is ever left behind a change that happened.
//
//   word = value << 1 | somebody may sleep
//
//   waiter                                     who changes it
//   ready(value)? return                       nobody may sleep: compare-and-swap; who comes to
//   spins                                        sleep later finds the bit unset and looks again
//   sets the bit, if the word has not changed  else: the kernel changes the word and wakes, in one
//   sleeps, if the word has not changed          system call
//
// Failure   A waiter killed anywhere leaves the bit: a system call more for each change, until the
//           bit is cleared. Killed in a change: it has happened, and all are awake, or it has not.
#pragma once

#include <cstdint>
#include <climits>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>
#include <multiprocessing/sync/park.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. Threads and processes: all members safe.
class WaitWord {
 public:
  static constexpr std::uint32_t kLargest = UINT32_MAX >> 1;
  /// The largest number that one call of add() or set_bits() takes.
  static constexpr std::uint32_t kLargestChange = 1023;

  explicit WaitWord(std::uint32_t value = 0) noexcept : word_(value << 1) {}

  std::uint32_t value() const noexcept { return word_.load() >> 1; }

  /// Adds 1 to kLargestChange and wakes up to `count` sleepers. No system call when nobody sleeps.
  /// Async-signal-safe. The value wraps around.
  void add(std::uint32_t number, int count = INT_MAX) noexcept {
    auto word = word_.load();
    while ((word & kSleepers) == 0) {
      if (word_.compare_exchange_weak(word, word + (number << 1))) return;
    }
    change_and_wake(os::FutexChange::Add, number << 1, count);
  }

  /// The same, for bits 1 to kLargestChange. Nothing happens when they are set.
  void set_bits(std::uint32_t bits) noexcept {
    auto word = word_.load();
    do {
      if ((~word & bits << 1) == 0) return;
      if ((word & kSleepers) != 0) break;
    } while (!word_.compare_exchange_weak(word, word | bits << 1));
    if ((word & kSleepers) == 0) return;
    change_and_wake(os::FutexChange::Or, bits << 1, INT_MAX);
  }

  /// Changes the value from `expected` for a reason that nobody waits for; sleepers sleep on.
  /// False, and `expected` is what it is, when it is something else.
  bool exchange_quietly(std::uint32_t& expected, std::uint32_t desired) noexcept {
    auto word = word_.load();
    while (word >> 1 == expected) {
      if (word_.compare_exchange_weak(word, desired << 1 | (word & kSleepers))) return true;
    }
    expected = word >> 1;
    return false;
  }

  /// The same, when nobody can be asleep: the bit is cleared.
  bool exchange_alone(std::uint32_t& expected, std::uint32_t desired) noexcept {
    auto word = word_.load();
    while (word >> 1 == expected) {
      if (word_.compare_exchange_weak(word, desired << 1)) return true;
    }
    expected = word >> 1;
    return false;
  }

  enum class [[nodiscard]] Exchanged{Done, Differs, Watched};

  /// The same, unless somebody may sleep, who would have to be told.
  Exchanged exchange_unwatched(std::uint32_t expected, std::uint32_t desired) noexcept {
    auto word = expected << 1;
    if (word_.compare_exchange_strong(word, desired << 1)) return Exchanged::Done;
    return word == (expected << 1 | kSleepers) ? Exchanged::Watched : Exchanged::Differs;
  }

  /// Whether a waiter, perhaps a dead one, has said that it sleeps.
  bool is_watched() const noexcept { return (word_.load() & kSleepers) != 0; }

  /// Blocks: until `ready(value())`, or the deadline passes. Spins first, and sleeps while the
  /// value is what was not ready. Peer death: `PeerDied` once one of `peers` is dead and not
  /// `ready`.
  template <class Ready>
  Waited await(Ready const& ready, base::Deadline deadline, Peers peers = {}) {
    auto const is_ready = [&] { return ready(value()); };
    if (is_ready() || AdaptiveSpin::of_this_thread()(is_ready)) return Waited::Ready;
    return await_parked(ready, deadline, peers);
  }

  /// The same without spinning.
  template <class Ready>
  Waited await_parked(Ready const& ready, base::Deadline deadline, Peers peers = {}) {
    for (auto word = word_.load();; word = word_.load()) {
      if (ready(word >> 1)) return Waited::Ready;
      if (deadline.passed()) return Waited::TimedOut;
      if ((word & kSleepers) == 0) {
        if (!word_.compare_exchange_strong(word, word | kSleepers)) continue;
        word |= kSleepers;
      }
      if (!park({&word_, word}, peers, deadline)) {
        return ready(value()) ? Waited::Ready : Waited::PeerDied;
      }
    }
  }

 private:
  static constexpr std::uint32_t kSleepers = 1;

  void change_and_wake(os::FutexChange change, std::uint32_t by, int count) noexcept {
    word_.fetch_or(0);  // releases what was written before: the kernel's change carries it on
    os::futex_change_and_wake(word_, change, by, count);
  }

  os::FutexWord word_;
};
static_assert(sizeof(WaitWord) == 4);

}  // namespace multiprocessing::sync

// SPDX-License-Identifier: BSL-1.0
// The counter of a semaphore that takes back what a dead process still held.
//
// It has no count: it has a table of what each participant holds, and what is left follows from it.
// So an acquisition is one store, in the acquirer's own entry, and dies with it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/scope_guard.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/shm/arena.hpp>
#include <multiprocessing/sync/park.hpp>
#include <multiprocessing/sync/wait_word.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. Threads and processes: all members safe; what one thread acquired,
/// another thread of its process may release.
class ReclaimingCounter {
 public:
  explicit ReclaimingCounter(std::uint32_t value) : value_(value) {}

  /// Blocks: until there is something left, or the deadline. False: the latter.
  bool acquire(shm::Arena& arena, shm::Number me, base::Deadline deadline) {
    if (try_acquire(arena, me)) return true;
    while (!deadline.passed()) {
      // Who is in front may have been stopped: look past it now and then.
      auto const check = earlier(deadline, base::Deadline::after(kCheck));
      if (queue_.lock_until(check)) {
        base::ScopeGuard const leave([this] { queue_.unlock(); });
        return acquire_in_front(arena, me, deadline);
      }
      if (try_acquire(arena, me)) return true;
    }
    return false;
  }

  bool try_acquire(shm::Arena& arena, shm::Number me) {
    Holders holders;
    return try_acquire(arena, me, holders);
  }

  /// False, and nothing happened, when `me` holds none.
  bool release(shm::Arena& arena, shm::Number me) {
    {
      os::RobustGuard const guard(guard_);
      auto const mine = held(arena, me);
      if (mine == 0) return false;
      store(arena, me, mine - 1);
    }
    // Killed before: who has seen that this process held something watches it.
    released_.add(1, 1);
    return true;
  }

  /// What is left now, not counting what is held by the dead.
  std::uint32_t value(shm::Arena& arena) {
    os::RobustGuard const guard(guard_);
    return left(arena);
  }

 private:
  static constexpr std::chrono::seconds kCheck{1};  // as in Counter
  // How late the death of a holder may be noticed that can not be slept on.
  static constexpr std::chrono::milliseconds kLivenessCheck{10};

  struct Holders {
    PeerList peers;
    bool are_all = true;
  };

  bool acquire_in_front(shm::Arena& arena, shm::Number me, base::Deadline deadline) {
    for (;;) {
      auto const seen = released_.value();
      Holders holders;
      if (try_acquire(arena, me, holders)) {
        auto value = released_.value();
        while (!released_.exchange_alone(value, value)) {
        }
        return true;
      }
      if (deadline.passed()) return false;
      auto const end =
          holders.are_all ? deadline : earlier(deadline, base::Deadline::after(kLivenessCheck));
      static_cast<void>(
          released_.await([=](std::uint32_t now) { return now != seen; }, end, holders.peers));
    }
  }

  /// When there is nothing left, `holders` are those who have it.
  bool try_acquire(shm::Arena& arena, shm::Number me, Holders& holders) {
    os::RobustGuard const guard(guard_);
    if (left(arena) > 0) {
      store(arena, me, held(arena, me) + 1);
      return true;
    }
    for (shm::Number number = 0; number < arena.participants(); ++number) {
      Peer const peer(arena.participant(number).life());
      if (held(arena, number) == 0) continue;  // asked last: so the peer is who holds it, or dead
      if (peer.holder == 0 || !holders.peers.add(peer)) holders.are_all = false;
    }
    return false;
  }

  /// What the process that has the place now holds: an entry of an earlier one counts for nothing.
  std::uint32_t held(shm::Arena& arena, shm::Number number) const {
    auto const entry = table_[number].load();
    auto const generation = static_cast<std::uint32_t>(entry >> 32);
    if (generation != arena.participant(number).generation()) return 0;
    return static_cast<std::uint32_t>(entry);
  }

  void store(shm::Arena& arena, shm::Number number, std::uint32_t count) {
    auto const generation = std::uint64_t{arena.participant(number).generation()};
    table_[number] = generation << 32 | count;
  }

  std::uint32_t left(shm::Arena& arena) {
    std::uint64_t used = 0;
    for (shm::Number number = 0; number < arena.participants(); ++number) {
      auto const count = held(arena, number);
      if (count == 0) continue;
      auto& who = arena.participant(number);
      if (!who.is_free() && !who.is_dead()) used += count;
    }
    return value_ > used ? value_ - static_cast<std::uint32_t>(used) : 0;
  }

  std::uint32_t value_;
  WaitWord released_;  // changes with each release; wraps around
  os::RobustMutex queue_;
  os::RobustMutex guard_;
  // (generation of the participant << 32) | what it holds; written under the guard
  std::array<std::atomic<std::uint64_t>, shm::Arena::kParticipants> table_{};
};

}  // namespace multiprocessing::sync

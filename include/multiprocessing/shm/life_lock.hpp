// SPDX-License-Identifier: BSL-1.0
// A lock that a process takes once and holds as long as it lives, so that others see its end
// without a system call, and can sleep until it comes.
#pragma once

#include <linux/futex.h>

#include <cstdint>
#include <optional>

#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/robust_mutex.hpp>

namespace multiprocessing::shm {

/// Lives inside a segment. Works also when the process becomes a zombie or its pid is reused: the
/// kernel itself marks the word when the holding thread ends.
class LifeLock {
 public:
  /// Called once by the process to watch, from a thread that lives as long as the process.
  void hold() {
    // By trying first, as nobody else holds it: a lock that is held for ever has no place in the
    // order of locks, which lock checkers look at.
    auto const acquired = lock_.try_lock();
    spread_if(acquired ? *acquired : lock_.lock());
  }

  /// The same, unless somebody alive holds it.
  bool try_hold() {
    if (is_held()) return false;
    auto const acquired = lock_.try_lock();
    if (acquired) spread_if(*acquired);
    return acquired.has_value();
  }

  /// REQUIRES: the other process has called hold().
  bool holder_is_dead() noexcept {
    // acquire: what the holder wrote before its end is visible to who sees the end
    return (lock_.word().load(std::memory_order_acquire) & FUTEX_OWNER_DIED) != 0;
  }

  /// Whether somebody holds it and lives.
  bool is_held() const noexcept { return holder() != 0; }

  /// The same, for a holder whom others may already wait for: see watch_absent().
  bool try_hold_watched() {
    if (!try_hold()) return false;
    lock_.word().fetch_or(FUTEX_WAITERS);
    return true;
  }
  /// Ends that hold; nobody watches any more.
  void release_watched() {
    lock_.word().fetch_and(~std::uint32_t{FUTEX_WAITERS});  // spares the kernel's wake
    lock_.unlock();
  }

  void release() { lock_.unlock(); }

  /// For something that `thread` does, and that ends before the thread does, by end(). The kernel
  /// notices nothing of it. REQUIRES: nobody else ever holds it.
  void stand_for(pid_t thread) noexcept { lock_.word() = static_cast<std::uint32_t>(thread); }
  /// To all others the end of that is as a death.
  void end() noexcept {
    lock_.word() = FUTEX_OWNER_DIED;
    spread_death();
  }

  /// Forgets a dead holder. REQUIRES: nobody else calls this or hold() meanwhile.
  void clear() {
    if (try_hold()) release();
  }

  /// The thread that holds it; 0 when nobody does who lives.
  pid_t holder() const noexcept { return lock_.owner(); }

  /// What the word holds as long as `holder` lives, for a futex wait; nullopt when it is dead.
  std::optional<os::FutexExpectation> watch(pid_t holder) noexcept {
    os::FutexWord& word = lock_.word();
    std::uint32_t value = word.load(std::memory_order_acquire);
    for (;;) {
      if (holder == 0 || (value & ~std::uint32_t{FUTEX_WAITERS}) != static_cast<unsigned>(holder)) {
        return std::nullopt;
      }
      // The kernel wakes a sleeper at the holder's death only where this bit asks for it.
      if ((value & FUTEX_WAITERS) != 0) return os::FutexExpectation{&word, value};
      if (word.compare_exchange_weak(value, value | FUTEX_WAITERS)) value |= FUTEX_WAITERS;
    }
  }

  /// What the word holds until somebody comes, nullopt when somebody has. A sleeper on it is not
  /// woken when one comes by try_hold_watched(), but when that one dies.
  std::optional<os::FutexExpectation> watch_absent() const noexcept {
    std::uint32_t const value = lock_.word().load(std::memory_order_acquire);
    if ((value & FUTEX_TID_MASK) != 0) return std::nullopt;
    return os::FutexExpectation{&lock_.word(), value};
  }

  /// The kernel wakes one sleeper; that one calls this to pass the news on.
  void spread_death() noexcept { os::futex_wake(lock_.word()); }

 private:
  /// Who takes the lock of the dead takes the evidence from those that the kernel has not woken.
  void spread_if(os::Acquired acquired) noexcept {
    if (acquired == os::Acquired::Recovered) spread_death();
  }

  os::RobustMutex lock_;
};

}  // namespace multiprocessing::shm

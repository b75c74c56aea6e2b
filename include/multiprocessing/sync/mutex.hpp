// SPDX-License-Identifier: BSL-1.0
// What a Lock or an RLock is in shared memory: a robust mutex that remembers a recovery.
#pragma once

#include <atomic>
#include <cerrno>
#include <optional>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/robust_mutex.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/sync/adaptive_spin.hpp>

namespace multiprocessing::sync {

/// Lives inside a segment. Belongs to the thread that acquired it.
/// Peer death: of the holder: the next one acquires it at once, and recovered() tells. Of waiters:
/// nothing.
class Mutex {
 public:
  using Kind = os::RobustMutex::Kind;

  explicit Mutex(Kind kind) : mutex_(kind), kind_(kind) {}

  Kind kind() const noexcept { return kind_; }

  /// Blocks: until acquired, or the deadline; spins first. False: the deadline has passed.
  /// Throws: std::system_error, EDEADLK when it would wait for itself for ever.
  bool acquire(base::Deadline deadline) {
    auto acquired = mutex_.try_lock();
    if (!acquired) acquired = acquire_contended(deadline);
    return note(acquired);
  }

  bool try_acquire() { return note(mutex_.try_lock()); }

  /// False, and nothing happened, when this thread does not hold it.
  bool release() {
    // relaxed, here and below: guarded by the mutex; atomic because recovered() may look from
    // outside
    if (recovered_.load(std::memory_order_relaxed)) forget_recovery();
    return mutex_.try_unlock();
  }

  /// How often a Recursive one has been acquired. REQUIRES: held_by_this_thread().
  unsigned levels() const noexcept { return mutex_.depth(); }

  /// All levels of a Recursive one; how many these were, 0 when this thread does not hold it.
  int release_all() {
    if (!mutex_.held_by_this_thread()) return 0;
    auto const levels = static_cast<int>(mutex_.depth());
    for (int level = 0; level < levels; ++level) release();
    return levels;
  }

  /// Called when the last handle in this process goes: its memory must not be used again while it
  /// is among those that a thread of this process holds. Leaves it as the death of this thread
  /// would, or, when another thread holds it, returns false: the memory has to stay.
  bool let_go() {
    if (mutex_.held_by_this_thread()) recovered_.store(true, std::memory_order_relaxed);
    while (mutex_.held_by_this_thread()) mutex_.try_unlock();
    pid_t const thread = owner();
    return thread == 0 || !os::is_thread_of_this_process(thread);
  }

  /// Blocks: until acquired. Undoes release_all().
  void acquire_all(int levels) {
    for (int level = 0; level < levels; ++level) acquire(base::Deadline::never());
  }

  /// Whether the one who held it before its present holder died with it, or let go of it.
  bool recovered() const noexcept { return recovered_.load(std::memory_order_relaxed); }

  /// The thread that holds it; 0 when it is free, or the holder dead.
  pid_t owner() const noexcept { return mutex_.owner(); }
  bool held_by_this_thread() const { return mutex_.held_by_this_thread(); }

 private:
  // How often to try again when it was taken by another just as it became free.
  static constexpr int kSpins = 4;

  bool note(std::optional<os::Acquired> acquired) {
    if (!acquired) return false;
    if (*acquired == os::Acquired::Recovered) recovered_.store(true, std::memory_order_relaxed);
    return true;
  }

  std::optional<os::Acquired> acquire_contended(base::Deadline deadline) {
    if (mutex_.held_by_this_thread()) return wait_for_itself(deadline);
    auto& spin = AdaptiveSpin::of_this_thread();
    for (int i = 0; i < kSpins && !deadline.passed(); ++i) {
      if (!spin([this] { return mutex_.owner() == 0; })) break;
      if (auto const acquired = mutex_.try_lock()) return acquired;
    }
    return mutex_.lock_until(deadline);
  }

  std::optional<os::Acquired> wait_for_itself(base::Deadline deadline) {
    if (deadline.is_never()) {
      os::throw_error(EDEADLK, "Lock.acquire", "the calling thread holds it");
    }
    while (!deadline.passed()) {
      static_cast<void>(os::futex_wait(mutex_.word(), mutex_.word().load(), deadline));
    }
    return std::nullopt;
  }

  void forget_recovery() {
    if (mutex_.held_by_this_thread() && mutex_.depth() <= 1) {
      recovered_.store(false, std::memory_order_relaxed);
    }
  }

  os::RobustMutex mutex_;
  Kind kind_;
  std::atomic<bool> recovered_{false};
};

}  // namespace multiprocessing::sync

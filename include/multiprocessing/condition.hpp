// SPDX-License-Identifier: BSL-1.0
// Waiting for a condition on what a lock guards.
#pragma once

#include <chrono>
#include <concepts>
#include <ostream>
#include <stdexcept>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/lock.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/wait_queue.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// A handle of a condition and its lock; a copy is the same condition, also in a process that is
/// started with it, or receives it. Lockable and TimedLockable: it locks its lock.
/// Threads, processes: all members safe.
/// Peer death: a sleeper that is dead takes no notification. One that is killed after it was told:
/// its turn goes to another with the next notify(), which then wakes one more. Killed in notify():
/// some of those to tell have been told; as it held the lock, the next holder sees recovered(), and
/// should notify again. Throws: std::logic_error from waits and notifications when the calling
/// thread does not hold the lock. Python: multiprocessing.Condition. Differs: notify() waits for
/// nobody's answer.
class Condition {
 public:
  /// With an RLock of its own. Throws: std::bad_alloc, std::system_error.
  Condition() : Condition(RLock()) {}
  /// With a lock that others may use, too.
  explicit Condition(AnyLock const& lock)
      : lock_(lock), queue_(shm::Shared<sync::WaitQueue>::make(0)) {}

  /// Lets go of the lock, at whatever depth it is held, sleeps until it is notified, and takes the
  /// lock again, without its recovered(). Always true, as in Python. Blocks: for both.
  /// Waits end with a notification only; still, what is waited for may have been taken by others
  /// before the lock was: prefer the forms with a predicate.
  bool wait() const { return wait_by("wait", base::Deadline::never()); }
  /// Whether it was notified. Blocks: at most for `timeout`, and for the lock.
  template <class Rep, class Period>
  bool wait(std::chrono::duration<Rep, Period> timeout) const {
    return wait_by("wait", base::Deadline::after(timeout));
  }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
    return wait_by("wait_for", base::Deadline::after(timeout));
  }
  template <class Clock, class Duration>
  bool wait_until(std::chrono::time_point<Clock, Duration> when) const {
    return wait_by("wait_until", base::Deadline::at(when));
  }

  /// Waits until `predicate()`, which is called with the lock held.
  template <std::predicate Predicate>
  bool wait(Predicate predicate) const {
    return wait_by("wait", base::Deadline::never(), predicate);
  }
  template <std::predicate Predicate>
  bool wait_for(Predicate predicate) const {
    return wait_by("wait_for", base::Deadline::never(), predicate);
  }
  /// What `predicate()` says last. Python: wait_for(predicate, timeout).
  template <std::predicate Predicate, class Rep, class Period>
  bool wait_for(Predicate predicate, std::chrono::duration<Rep, Period> timeout) const {
    return wait_by("wait_for", base::Deadline::after(timeout), predicate);
  }
  template <class Rep, class Period, std::predicate Predicate>
  bool wait_for(std::chrono::duration<Rep, Period> timeout, Predicate predicate) const {
    return wait_by("wait_for", base::Deadline::after(timeout), predicate);
  }
  template <class Clock, class Duration, std::predicate Predicate>
  bool wait_until(std::chrono::time_point<Clock, Duration> when, Predicate predicate) const {
    return wait_by("wait_until", base::Deadline::at(when), predicate);
  }

  /// Wakes those `count` sleepers that have waited longest, or all when there are fewer.
  /// Complexity: a load for each thread of all processes that has ever waited at a condition.
  void notify(int count = 1) const {
    require_lock("notify");
    queue_->notify(queue_.id(), count);
  }
  void notify_one() const { notify(1); }
  void notify_all() const {
    require_lock("notify_all");
    queue_->notify_all(queue_.id());
  }

  /// The lock's own, as AnyLock's members of these names.
  bool acquire() const { return lock_.acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(std::chrono::duration<Rep, Period> timeout) const {
    return lock_.acquire(timeout);
  }
  [[nodiscard]] bool try_acquire() const { return lock_.try_acquire(); }
  void release() const { lock_.release(); }
  void lock() const { lock_.lock(); }
  [[nodiscard]] bool try_lock() const { return lock_.try_lock(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> timeout) const {
    return lock_.try_lock_for(timeout);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when) const {
    return lock_.try_lock_until(when);
  }
  void unlock() const { lock_.unlock(); }
  [[nodiscard]] bool locked() const noexcept { return lock_.locked(); }
  [[nodiscard]] bool recovered() const noexcept { return lock_.recovered(); }

  /// The lock that it was made with, or made itself. Python: none
  AnyLock const& get_lock() const noexcept { return lock_; }

  /// "<Condition(<RLock(owner=None)>)>".
  friend std::string to_string(Condition const& condition) {
    return "<Condition(" + to_string(condition.lock_) + ")>";
  }
  friend std::ostream& operator<<(std::ostream& out, Condition const& condition) {
    return out << to_string(condition);
  }

  /// Whether both are the same condition.
  friend bool operator==(Condition const&, Condition const&) = default;

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, queue_, "a Condition");
    lock_.save(encoder);
  }
  template <class Decoder>
  static Condition decode_from(Decoder& decoder) {
    auto const queue = wire::read_handle<sync::WaitQueue>(decoder);
    return Condition(AnyLock::decode_from(decoder), queue);
  }

 private:
  Condition(AnyLock const& lock, shm::Shared<sync::WaitQueue> const& queue)
      : lock_(lock), queue_(queue) {}

  void require_lock(char const* call) const {
    if (lock_.held_by_this_thread()) return;
    throw std::logic_error("Condition." + std::string(call) +
                           ": the calling thread does not hold the lock " + to_string(lock_));
  }

  bool wait_by(char const* call, base::Deadline deadline) const {
    require_lock(call);
    return queue_->wait(queue_.id(), *lock_.state_, deadline);
  }

  template <class Predicate>
  bool wait_by(char const* call, base::Deadline deadline, Predicate& predicate) const {
    while (!predicate()) {
      if (!wait_by(call, deadline)) return predicate();
    }
    return true;
  }

  AnyLock lock_;
  shm::Shared<sync::WaitQueue> queue_;
};

}  // namespace multiprocessing

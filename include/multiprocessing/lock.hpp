// SPDX-License-Identifier: BSL-1.0
// Mutual exclusion between processes and threads alike, that outlives whoever holds it.
#pragma once

#include <chrono>
#include <ostream>
#include <stdexcept>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/os/thread.hpp>
#include <multiprocessing/shm/heap.hpp>
#include <multiprocessing/sync/mutex.hpp>
#include <multiprocessing/wire/shared_handle.hpp>

namespace multiprocessing {

/// A handle of a Lock or an RLock: what both can do, for who does not care which it is.
/// A copy is the same lock, also in a process that is started with it, or that receives it.
/// Lockable and TimedLockable: works with std::scoped_lock and std::unique_lock.
/// Threads, processes: all members safe. It belongs to the thread that acquired it.
/// Peer death: when the thread that holds it ends, killed or not, the next one acquires it at once,
/// and recovered() tells it. A waiter that is killed costs nobody anything.
/// Python: multiprocessing.Lock, RLock.
class AnyLock {
 public:
  /// Blocks: until acquired. Always true, as in Python.
  /// Throws: std::system_error (resource_deadlock_would_occur) when this thread holds a Lock that
  /// it would wait for.
  bool acquire() const { return state_->acquire(base::Deadline::never()); }
  /// Blocks: at most for `timeout`. Whether it was acquired.
  template <class Rep, class Period>
  [[nodiscard]] bool acquire(std::chrono::duration<Rep, Period> timeout) const {
    return state_->acquire(base::Deadline::after(timeout));
  }
  /// Python: acquire(block=False).
  [[nodiscard]] bool try_acquire() const { return state_->try_acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> timeout) const {
    return acquire(timeout);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_acquire_until(std::chrono::time_point<Clock, Duration> when) const {
    return state_->acquire(base::Deadline::at(when));
  }

  /// Throws: std::logic_error when this thread does not hold it.
  void release() const {
    if (!state_->release()) throw std::logic_error(name() + ".release: " + holder());
  }

  void lock() const { acquire(); }
  [[nodiscard]] bool try_lock() const { return try_acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> timeout) const {
    return acquire(timeout);
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when) const {
    return try_acquire_until(when);
  }
  void unlock() const { release(); }

  /// Whether somebody alive holds it. No system call.
  [[nodiscard]] bool locked() const noexcept { return state_->owner() != 0; }

  /// For the holder: whether the one before it died holding the lock, or dropped its process's last
  /// handle of it then, so that what the lock guards may be half done. Until it is released.
  [[nodiscard]] bool recovered() const noexcept { return state_->recovered(); }

  /// Whether the calling thread could release it.
  [[nodiscard]] bool held_by_this_thread() const { return state_->held_by_this_thread(); }

  /// "<Lock(owner=process 12, thread 13)>", "<RLock(owner=None)>".
  friend std::string to_string(AnyLock const& lock) {
    auto const owner = owner_of(lock);
    return "<" + lock.name() + "(owner=" + (owner.empty() ? "None" : owner) + ")>";
  }
  friend std::ostream& operator<<(std::ostream& out, AnyLock const& lock) {
    return out << to_string(lock);
  }

  /// Whether both are the same lock.
  friend bool operator==(AnyLock const&, AnyLock const&) = default;

  /// For the wire.
  using DecodesItself = void;
  template <class Encoder>
  void save(Encoder& encoder) const {
    wire::save_handle(encoder, state_, state_->kind() == Kind::Recursive ? "an RLock" : "a Lock");
  }
  template <class Decoder>
  static AnyLock decode_from(Decoder& decoder) {
    return AnyLock(wire::read_handle<sync::Mutex>(decoder));
  }

 protected:
  using Kind = sync::Mutex::Kind;

  explicit AnyLock(Kind kind) : AnyLock(shm::Shared<sync::Mutex>::make(0, kind)) {}

  /// The same lock. Throws: UnpicklingError unless it is of this kind.
  AnyLock(AnyLock const& lock, Kind kind) : AnyLock(lock) {
    if (state_->kind() != kind) throw UnpicklingError("decoding meets another kind of lock");
  }

 private:
  friend class Condition;
  template <class T>
  friend class Value;

  explicit AnyLock(shm::Shared<sync::Mutex> const& state) : state_(state) {}

  std::string name() const { return state_->kind() == Kind::Recursive ? "RLock" : "Lock"; }

  static std::string owner_of(AnyLock const& lock) {
    pid_t const thread = lock.state_->owner();
    if (thread == 0) return {};
    return "process " + std::to_string(os::process_of_thread(thread)) + ", thread " +
           std::to_string(thread);
  }
  std::string holder() const {
    auto const owner = owner_of(*this);
    return owner.empty() ? "nobody holds it" : owner + " holds it, not the calling thread";
  }

  shm::Shared<sync::Mutex> state_;
};

/// Held once at a time. What acquires it twice from one thread gets an exception, or false.
/// Python differs: only the thread that acquired it may release it.
class Lock : public AnyLock {
 public:
  /// Throws: std::bad_alloc, std::system_error.
  Lock() : AnyLock(Kind::Plain) {}

  /// For the wire.
  template <class Decoder>
  static Lock decode_from(Decoder& decoder) {
    return Lock(AnyLock::decode_from(decoder));
  }

 private:
  explicit Lock(AnyLock const& lock) : AnyLock(lock, Kind::Plain) {}
};

/// May be acquired again by the thread that holds it; it is free when it was released as often.
/// Python: multiprocessing.RLock.
class RLock : public AnyLock {
 public:
  /// Throws: std::bad_alloc, std::system_error.
  RLock() : AnyLock(Kind::Recursive) {}

  /// For the wire.
  template <class Decoder>
  static RLock decode_from(Decoder& decoder) {
    return RLock(AnyLock::decode_from(decoder));
  }

 private:
  explicit RLock(AnyLock const& lock) : AnyLock(lock, Kind::Recursive) {}
};

}  // namespace multiprocessing

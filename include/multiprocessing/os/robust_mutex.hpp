// SPDX-License-Identifier: BSL-1.0
// pthread's robust, process-shared mutex, and the word in it that the kernel marks when the thread
// that holds it ends, however it ends.
#pragma once

#include <linux/futex.h>
#include <pthread.h>

#include <cerrno>
#include <cstddef>
#include <optional>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/sanitizers.hpp>
#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/thread.hpp>
#if MULTIPROCESSING_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace multiprocessing::os {

enum class [[nodiscard]] Acquired{Clean, Recovered};

/// Lives inside a segment. Never destroyed: its memory goes with the segment.
/// Belongs to the thread that locked it. `Recovered`: the last holder died with it.
class RobustMutex {
 public:
  enum class Kind { Plain, Recursive };

  explicit RobustMutex(Kind kind = Kind::Plain) {
    pthread_mutexattr_t attributes;
    check(::pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    // ERRORCHECK costs nothing here: a robust mutex looks at its owner anyway.
    ::pthread_mutexattr_settype(
        &attributes, kind == Kind::Recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK);
    int const result = ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    check(result, "pthread_mutex_init");
  }
  RobustMutex(RobustMutex const&) = delete;
  RobustMutex& operator=(RobustMutex const&) = delete;

  /// As many as one thread can hold. The kernel looks at 2048 when a thread ends; the rest would
  /// stay locked for ever.
  static constexpr int kMostHeld = 1900;

  /// Blocks: until the holder releases it or dies.
  /// Throws, here and below: std::system_error, EDEADLK when this thread holds it already and it is
  /// Plain, EAGAIN when this thread holds kMostHeld.
  Acquired lock() { return *acquired(::pthread_mutex_lock(&mutex_), "pthread_mutex_lock"); }

  /// nullopt when somebody holds it; also this thread, when it is Plain.
  std::optional<Acquired> try_lock() {
    int const result = ::pthread_mutex_trylock(&mutex_);
    if (result == EBUSY || result == EDEADLK) return std::nullopt;
    return acquired(result, "pthread_mutex_trylock");
  }

  /// As lock(); nullopt when the deadline has passed.
  std::optional<Acquired> lock_until(base::Deadline deadline) {
    if (deadline.is_never()) return lock();
    timespec const when = base::to_timespec(deadline.time().time_since_epoch());
    int const result = ::pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &when);
    if (result == ETIMEDOUT) return std::nullopt;
#if MULTIPROCESSING_THREAD_SANITIZER
    __tsan_mutex_pre_lock(&mutex_, 0);  // it does not know this function
    __tsan_mutex_post_lock(&mutex_, 0, 0);
#endif
    return acquired(result, "pthread_mutex_clocklock");
  }

  /// False, and nothing happened, when this thread does not hold it.
  bool try_unlock() {
    int const result = ::pthread_mutex_unlock(&mutex_);
    if (result == EPERM) return false;
    check(result, "pthread_mutex_unlock");
    --held();
    return true;
  }

  void unlock() {
    check(::pthread_mutex_unlock(&mutex_), "pthread_mutex_unlock");
    --held();
  }

  /// The thread that holds it; 0 when nobody does, or the holder is dead. No system call.
  pid_t owner() const noexcept {
    // acquire: what a holder wrote before its end is visible to who sees the end
    auto const value = word().load(std::memory_order_acquire);
    return (value & FUTEX_OWNER_DIED) != 0 ? 0 : static_cast<pid_t>(value & FUTEX_TID_MASK);
  }

  bool held_by_this_thread() const { return owner() == this_thread_id(); }

  /// How often the holder has locked it. REQUIRES: held_by_this_thread().
  unsigned depth() const noexcept { return mutex_.__data.__count; }

  /// Whether bytes that come from elsewhere could be a mutex of this kind.
  bool looks_like(Kind kind) const {
    RobustMutex const one(kind);
    return mutex_.__data.__kind == one.mutex_.__data.__kind;
  }

  /// Holder's thread id, and the kernel's bits FUTEX_OWNER_DIED and FUTEX_WAITERS. A sleeper on
  /// this word that has set FUTEX_WAITERS is woken when the holder dies.
  FutexWord& word() noexcept {
    static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0,
                  "this C library keeps the lock word elsewhere");
    return *reinterpret_cast<FutexWord*>(&mutex_);
  }
  FutexWord const& word() const noexcept { return const_cast<RobustMutex*>(this)->word(); }

 private:
  /// Levels of robust mutexes that this thread holds. A forked child begins with its parent's
  /// count: it may hold a few less.
  static int& held() noexcept {
    static thread_local constinit int count = 0;
    return count;
  }

  static void check(int result, char const* call) {
    if (result != 0) throw_error(result, call, "robust");
  }

  std::optional<Acquired> acquired(int result, char const* call) {
    if (result != EOWNERDEAD) check(result, call);
    if (result == EOWNERDEAD) {
      check(::pthread_mutex_consistent(&mutex_), "pthread_mutex_consistent");
    }
    if (++held() > kMostHeld) {
      unlock();
      throw_error(EAGAIN, call, "this thread holds too many locks");
    }
    return result == EOWNERDEAD ? Acquired::Recovered : Acquired::Clean;
  }

  pthread_mutex_t mutex_;
};

/// Holds a mutex that guards what needs no repair: every step of it is one store.
class RobustGuard {
 public:
  explicit RobustGuard(RobustMutex& mutex) : mutex_(mutex) { static_cast<void>(mutex.lock()); }
  RobustGuard(RobustGuard const&) = delete;
  RobustGuard& operator=(RobustGuard const&) = delete;
  ~RobustGuard() { mutex_.unlock(); }

 private:
  RobustMutex& mutex_;
};

}  // namespace multiprocessing::os

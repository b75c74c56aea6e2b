// SPDX-License-Identifier: BSL-1.0
// pthread's robust, process-shared mutex, and the word in it that the kernel marks when the thread
// that holds it ends, however it ends.
#pragma once

#include <linux/futex.h>
#include <pthread.h>

#include <cerrno>
#include <cstddef>

#include <multiprocessing/os/futex.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

enum class [[nodiscard]] Acquired{Clean, Recovered};

/// Lives inside a segment. Never destroyed: its memory goes with the segment.
class RobustMutex {
 public:
  RobustMutex() {
    pthread_mutexattr_t attributes;
    check(::pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    int const result = ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    check(result, "pthread_mutex_init");
  }
  RobustMutex(RobustMutex const&) = delete;
  RobustMutex& operator=(RobustMutex const&) = delete;

  /// Blocks: until the holder releases it or dies. `Recovered`: the last holder died with it.
  Acquired lock() {
    int const result = ::pthread_mutex_lock(&mutex_);
    if (result == EOWNERDEAD) {
      check(::pthread_mutex_consistent(&mutex_), "pthread_mutex_consistent");
      return Acquired::Recovered;
    }
    check(result, "pthread_mutex_lock");
    return Acquired::Clean;
  }

  void unlock() { check(::pthread_mutex_unlock(&mutex_), "pthread_mutex_unlock"); }

  /// Holder's thread id, and the kernel's bits FUTEX_OWNER_DIED and FUTEX_WAITERS. A sleeper on
  /// this word that has set FUTEX_WAITERS is woken when the holder dies.
  FutexWord& word() noexcept {
    static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0,
                  "this C library keeps the lock word elsewhere");
    return *reinterpret_cast<FutexWord*>(&mutex_);
  }

 private:
  static void check(int result, char const* call) {
    if (result != 0) throw_error(result, call, "robust");
  }

  pthread_mutex_t mutex_;
};

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// A child inherits every lock of the C library as it was at the fork, also those that another
// thread held, and that thread does not exist in the child. So this library forks only while no
// thread of its own is inside such a lock: both sides hold this gate.
#pragma once

#include <sys/single_threaded.h>

#include <mutex>
#include <type_traits>

namespace multiprocessing::os {

/// A mutex that a process with one thread leaves alone: there is nobody to keep out, and after a
/// fork both parent and child would have to copy the page that it is written to.
/// Threads: safe. Fork: the child unlocks its copy. REQUIRES: nobody makes the process's second
/// thread while it is held.
class ForkGate {
 public:
  void lock() {
    if (__libc_single_threaded) return;
    mutex_.lock();
    is_locked_ = true;
  }
  void unlock() noexcept {
    if (!is_locked_) return;  // it was the only thread when it came, and by the REQUIRES still is
    is_locked_ = false;
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
  bool is_locked_ = false;  // guarded by mutex_
};

/// Never destroyed: processes may still be started while static objects are.
inline ForkGate& fork_gate() noexcept {
  static_assert(std::is_trivially_destructible_v<ForkGate>);
  static constinit ForkGate gate;
  return gate;
}

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// A child inherits every lock of the C library as it was at the fork, also those that another
// thread held, and that thread does not exist in the child. So this library forks only while no
// thread of its own is inside such a lock: both sides hold this gate.
#pragma once

#include <sys/single_threaded.h>

#include <mutex>
#include <type_traits>

namespace multiprocessing::os {

/// Holds the gate. A process that has one thread passes it by: there is nobody to keep out, and
/// after a fork both parent and child would have to copy the page that it is written to.
/// Blocks: while another thread holds it. Fork: the child gives its copy back. REQUIRES: nobody
/// makes the process's second thread while its first one holds it.
class ForkGateGuard {
 public:
  ForkGateGuard() : is_locked_(!__libc_single_threaded) {
    if (is_locked_) gate_.lock();
  }
  ForkGateGuard(ForkGateGuard const&) = delete;
  ForkGateGuard& operator=(ForkGateGuard const&) = delete;
  ~ForkGateGuard() {
    if (is_locked_) gate_.unlock();
  }

 private:
  // Never destroyed: processes may still be started while static objects are.
  static_assert(std::is_trivially_destructible_v<std::mutex>);
  static inline constinit std::mutex gate_;

  bool const is_locked_;
};

}  // namespace multiprocessing::os

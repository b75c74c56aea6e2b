// SPDX-License-Identifier: BSL-1.0
// A descriptor that becomes readable when a time has passed.
#pragma once

#include <sys/timerfd.h>

#include <chrono>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Threads: all members safe. Fork: both processes have the same one.
class Timer {
 public:
  /// Throws: std::system_error.
  Timer() : fd_(above_standard(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK))) {
    if (!fd_) throw_errno("timerfd_create");
  }

  int fd() const noexcept { return fd_.get(); }

  /// Readable once `time`, more than nothing, has passed, until it is started or stopped.
  void start(std::chrono::nanoseconds time) const noexcept { set(time); }
  /// Not readable.
  void stop() const noexcept { set(std::chrono::nanoseconds(0)); }

 private:
  void set(std::chrono::nanoseconds time) const noexcept {
    itimerspec spec{};
    spec.it_value = base::to_timespec(time);
    ::timerfd_settime(fd_.get(), 0, &spec, nullptr);  // fails for bad values only
  }

  Fd fd_;
};

}  // namespace multiprocessing::os

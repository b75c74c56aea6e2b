// SPDX-License-Identifier: BSL-1.0
// Many descriptors as one: readable when any of them is.
#pragma once

#include <sys/epoll.h>

#include <string>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Threads: all members safe.
class ReadableSet {
 public:
  /// Throws: std::system_error.
  ReadableSet() : fd_(above_standard(::epoll_create1(EPOLL_CLOEXEC))) {
    if (!fd_) throw_errno("epoll_create1");
  }

  int fd() const noexcept { return fd_.get(); }

  /// Until it is removed, or closed in all processes. Throws: std::system_error.
  void add(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) == -1) {
      throw_errno("epoll_ctl", "EPOLL_CTL_ADD " + std::to_string(fd));
    }
  }
  void remove(int fd) const noexcept { ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

 private:
  Fd fd_;
};

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// The bodies of poll.hpp.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <span>
#include <string>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/poll.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE int poll_until(std::span<pollfd> fds, base::Deadline deadline) {
  auto const count = retry_eintr([&] {
    if (deadline.is_never()) return ::ppoll(fds.data(), fds.size(), nullptr, nullptr);
    timespec const left = base::to_timespec(deadline.remaining());
    return ::ppoll(fds.data(), fds.size(), &left, nullptr);
  });
  if (count == -1) throw_errno("ppoll", std::to_string(fds.size()) + " fds");
  return count;
}

MULTIPROCESSING_INLINE bool poll_readable(int fd, base::Deadline deadline) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return poll_until({&entry, 1}, deadline) > 0;
}

MULTIPROCESSING_INLINE Fd create_eventfd() {
  Fd fd = above_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw_errno("eventfd");
  return fd;
}

MULTIPROCESSING_INLINE Fd try_create_readable() noexcept {
  return above_standard(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
}

MULTIPROCESSING_INLINE Pipe create_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) == -1) throw_errno("pipe2");
  Pipe pipe{above_standard(fds[0]), above_standard(fds[1])};
  if (!pipe.reader || !pipe.writer) throw_errno("fcntl", "F_DUPFD_CLOEXEC");
  return pipe;
}

MULTIPROCESSING_INLINE void signal_eventfd(int fd) noexcept {
  std::uint64_t const one = 1;
  retry_eintr([&] { return ::write(fd, &one, sizeof one); });
}

MULTIPROCESSING_INLINE void drain_eventfd(Fd const& fd) noexcept {
  std::uint64_t count = 0;
  retry_eintr([&] { return ::read(fd.get(), &count, sizeof count); });
}

}  // namespace multiprocessing::os

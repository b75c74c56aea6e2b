// SPDX-License-Identifier: BSL-1.0
// Waiting for file descriptors until a deadline, and the eventfd that wakes such a wait.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include <span>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/fd.hpp>

namespace multiprocessing::os {

/// Fills the `revents` of `fds`. Returns how many are ready, 0 once the deadline has passed.
int poll_until(std::span<pollfd> fds, base::Deadline deadline);

/// Whether `fd` became readable before the deadline passed.
bool poll_readable(int fd, base::Deadline deadline);

inline bool is_readable(Fd const& fd) { return poll_readable(fd.get(), base::Deadline::now()); }

/// A counter that is readable while it is not zero.
Fd create_eventfd();

/// A descriptor that is readable and stays so; empty, with errno, when there is none left.
Fd try_create_readable() noexcept;

/// Its reading end tells, by end of file, that no process has the writing end any more.
struct Pipe {
  Fd reader;
  Fd writer;
};

/// Throws: std::system_error.
Pipe create_pipe();

/// Makes the eventfd readable. A full counter is readable already, so no failure matters.
void signal_eventfd(int fd) noexcept;
inline void signal_eventfd(Fd const& fd) noexcept { signal_eventfd(fd.get()); }

void drain_eventfd(Fd const& fd) noexcept;

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/poll.ipp>
#endif

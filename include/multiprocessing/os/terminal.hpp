// SPDX-License-Identifier: BSL-1.0
// What a descriptor tells of the terminal that it is of.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace multiprocessing::os {

/// errno stays as it is.
inline bool is_terminal(int fd) noexcept {
  int const errno_before = errno;
  bool const is_one = ::isatty(fd) == 1;
  errno = errno_before;
  return is_one;
}

/// How many characters a line has; 0: it does not say, or is no terminal. errno stays as it is.
inline unsigned columns_of(int fd) noexcept {
  int const errno_before = errno;
  winsize size{};
  bool const is_told = ::ioctl(fd, TIOCGWINSZ, &size) == 0;
  errno = errno_before;
  return is_told ? size.ws_col : 0;
}

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// The bodies of stdio.hpp.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio_ext.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <optional>
#include <string_view>

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/stdio.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {
namespace stdio_detail {

MULTIPROCESSING_INLINE void flush(std::FILE* file) noexcept {
  if (file->_IO_write_ptr != file->_IO_write_base) std::fflush(file);
}

MULTIPROCESSING_INLINE bool has_read_ahead(std::FILE* file) noexcept {
  return file->_IO_read_ptr != file->_IO_read_end;
}

}  // namespace stdio_detail

MULTIPROCESSING_INLINE void flush_standard_streams() noexcept {
  stdio_detail::flush(std::cout);
  stdio_detail::flush(std::clog);
  stdio_detail::flush(std::wcout);
  stdio_detail::flush(std::wclog);
  stdio_detail::flush(stdout);
  stdio_detail::flush(stderr);
}

MULTIPROCESSING_INLINE Fd open_null() noexcept {
  return above_standard(retry_eintr([] { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }));
}

MULTIPROCESSING_INLINE void replace_standard_input(Fd null) noexcept {
  if (stdio_detail::has_read_ahead(stdin)) ::__fpurge(stdin);
  if (!null) return;
  retry_eintr([&] { return ::syscall(SYS_dup3, null.get(), STDIN_FILENO, 0); });
}
namespace stdio_detail {

MULTIPROCESSING_INLINE NoPipeSignal::NoPipeSignal() noexcept {
  ::sigemptyset(&pipe_);
  ::sigaddset(&pipe_, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
}

MULTIPROCESSING_INLINE void NoPipeSignal::take() const noexcept {
  if (::sigismember(&before_, SIGPIPE) == 1) return;  // it stays pending, as the caller wants it
  timespec const now{};
  retry_eintr([&] { return ::sigtimedwait(&pipe_, nullptr, &now); });
}

MULTIPROCESSING_INLINE bool write_whole(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    auto const written = retry_eintr([&] { return ::write(fd, text.data(), text.size()); });
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written == -1 && errno == EAGAIN) {
      pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
      if (retry_eintr([&] { return ::poll(&entry, 1, -1); }) == -1) return false;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace stdio_detail

MULTIPROCESSING_INLINE bool write_to(int fd, std::string_view text) noexcept {
  stdio_detail::NoPipeSignal const no_signal;
  if (stdio_detail::write_whole(fd, text)) return true;
  if (errno == EPIPE) no_signal.take();
  return false;
}

MULTIPROCESSING_INLINE bool write_to_stderr(std::string_view text) noexcept {
  return write_to(STDERR_FILENO, text);
}

MULTIPROCESSING_INLINE std::optional<FileIdentity> stderr_identity() noexcept {
  return file_identity(STDERR_FILENO);
}

}  // namespace multiprocessing::os

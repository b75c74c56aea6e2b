// SPDX-License-Identifier: BSL-1.0
// Standard streams around a fork.
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
#include <typeinfo>
#include <climits>
#if __has_include(<ext/stdio_sync_filebuf.h>)
#include <ext/stdio_sync_filebuf.h>
#endif

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

namespace stdio_detail {

// In a child, every page that is touched first costs a fault, and a fault some microseconds. So
// look before calling: in most children there is nothing to flush. And call by syscall(), one
// function for all: the parent has used it, where others would be looked up again in every child.

/// By default the C++ streams have no buffer of their own, but hand everything to C's. Only
/// libstdc++ lets that be seen: with another library a stream is taken to have one.
template <class Char>
bool has_own_buffer(std::basic_ostream<Char>& stream) {
  auto* const buffer = stream.rdbuf();
#if __has_include(<ext/stdio_sync_filebuf.h>)
  return buffer != nullptr && typeid(*buffer) != typeid(__gnu_cxx::stdio_sync_filebuf<Char>);
#else
  return buffer != nullptr;
#endif
}

template <class Char>
void flush(std::basic_ostream<Char>& stream) noexcept {
  if (!has_own_buffer(stream)) return;
  try {
    stream.flush();
  } catch (...) {  // a stream with exceptions() on; the child's exit code must not depend on it
  }
}

inline void flush(std::FILE* file) noexcept {
  if (file->_IO_write_ptr != file->_IO_write_base) std::fflush(file);
}

inline bool has_read_ahead(std::FILE* file) noexcept {
  return file->_IO_read_ptr != file->_IO_read_end;
}

}  // namespace stdio_detail

/// Before a fork, so that nothing buffered exists in two processes; in a child, before it ends.
/// The standard streams only: flushing every open FILE would wait for a thread that reads one, and
/// would write the parent's data from the child.
inline void flush_standard_streams() noexcept {
  stdio_detail::flush(std::cout);
  stdio_detail::flush(std::clog);
  stdio_detail::flush(std::wcout);
  stdio_detail::flush(std::wclog);
  stdio_detail::flush(stdout);
  stdio_detail::flush(stderr);
}

/// Opened before a fork, where it is cheap, for the child's standard input.
inline Fd open_null() noexcept {
  return above_standard(retry_eintr([] { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }));
}

/// Standard input is `null` from now on, and what the parent had read ahead is forgotten, unless
/// std::cin has a buffer of its own (sync_with_stdio(false)).
inline void replace_standard_input(Fd null) noexcept {
  if (stdio_detail::has_read_ahead(stdin)) ::__fpurge(stdin);
  if (!null) return;
  retry_eintr([&] { return ::syscall(SYS_dup3, null.get(), STDIN_FILENO, 0); });
}

/// As many bytes as a pipe takes from one write as a whole, or not at all.
inline constexpr std::size_t kAtomicWrite = PIPE_BUF;

namespace stdio_detail {

/// This thread is not killed for writing where nobody reads.
class NoPipeSignal {
 public:
  NoPipeSignal() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoPipeSignal(NoPipeSignal const&) = delete;
  NoPipeSignal& operator=(NoPipeSignal const&) = delete;
  ~NoPipeSignal() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  /// After a write that failed with EPIPE: takes the signal away that came with it.
  void take() const noexcept {
    if (::sigismember(&before_, SIGPIPE) == 1) return;  // it stays pending, as the caller wants it
    timespec const now{};
    retry_eintr([&] { return ::sigtimedwait(&pipe_, nullptr, &now); });
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
};

inline bool write_whole(int fd, std::string_view text) noexcept {
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

/// One write, past every buffer, so that lines of several processes don't mix; more of them where
/// the kernel takes less at once. Whether all was written: not when nobody reads a pipe any more,
/// which is no reason to be killed here.
/// Blocks: as long as there is no room, also when `fd` is in non-blocking mode.
inline bool write_to(int fd, std::string_view text) noexcept {
  stdio_detail::NoPipeSignal const no_signal;
  if (stdio_detail::write_whole(fd, text)) return true;
  if (errno == EPIPE) no_signal.take();
  return false;
}
inline bool write_to_stderr(std::string_view text) noexcept {
  return write_to(STDERR_FILENO, text);
}

/// nullopt: stderr is closed.
inline std::optional<FileIdentity> stderr_identity() noexcept {
  return file_identity(STDERR_FILENO);
}

}  // namespace multiprocessing::os

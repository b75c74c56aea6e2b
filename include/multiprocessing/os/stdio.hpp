// SPDX-License-Identifier: BSL-1.0
// Standard streams around a fork.
#pragma once

#include <pthread.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>
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

void flush(std::FILE* file) noexcept;

bool has_read_ahead(std::FILE* file) noexcept;

}  // namespace stdio_detail

/// Before a fork, so that nothing buffered exists in two processes; in a child, before it ends.
/// The standard streams only: flushing every open FILE would wait for a thread that reads one, and
/// would write the parent's data from the child.
void flush_standard_streams() noexcept;

/// Opened before a fork, where it is cheap, for the child's standard input.
Fd open_null() noexcept;

/// Standard input is `null` from now on, and what the parent had read ahead is forgotten, unless
/// std::cin has a buffer of its own (sync_with_stdio(false)).
void replace_standard_input(Fd null) noexcept;

/// As many bytes as a pipe takes from one write as a whole, or not at all.
inline constexpr std::size_t kAtomicWrite = PIPE_BUF;

namespace stdio_detail {

/// This thread is not killed for writing where nobody reads.
class NoPipeSignal {
 public:
  NoPipeSignal() noexcept;
  NoPipeSignal(NoPipeSignal const&) = delete;
  NoPipeSignal& operator=(NoPipeSignal const&) = delete;
  ~NoPipeSignal() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  /// After a write that failed with EPIPE: takes the signal away that came with it.
  void take() const noexcept;

 private:
  sigset_t pipe_;
  sigset_t before_;
};

bool write_whole(int fd, std::string_view text) noexcept;

}  // namespace stdio_detail

/// One write, past every buffer, so that lines of several processes don't mix; more of them where
/// the kernel takes less at once. Whether all was written: not when nobody reads a pipe any more,
/// which is no reason to be killed here.
/// Blocks: as long as there is no room, also when `fd` is in non-blocking mode.
bool write_to(int fd, std::string_view text) noexcept;
bool write_to_stderr(std::string_view text) noexcept;

/// nullopt: stderr is closed.
std::optional<FileIdentity> stderr_identity() noexcept;

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/stdio.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
// Counts what a piece of code asks of the kernel, as strace would.
#pragma once

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>

#include "helpers.hpp"

namespace support {

/// Runs `body` in a child, between two signals that are counted, too.
template <class Body>
long system_calls_between_signals(Body const& body) {
  RawChild child([&] {
    ::ptrace(PTRACE_TRACEME, 0, 0, 0);
    ::raise(SIGSTOP);
    body();
    ::raise(SIGSTOP);
  });
  int status = 0;
  ::waitpid(child.pid(), &status, 0);
  ::ptrace(PTRACE_SETOPTIONS, child.pid(), 0, PTRACE_O_TRACESYSGOOD);
  constexpr int kSystemCall = SIGTRAP | 0x80;
  for (long stops = 0;; stops += WSTOPSIG(status) == kSystemCall ? 1 : 0) {
    ::ptrace(PTRACE_SYSCALL, child.pid(), 0, 0);
    ::waitpid(child.pid(), &status, 0);
    if (!WIFSTOPPED(status)) std::abort();
    if (WSTOPSIG(status) != SIGSTOP) continue;
    child.kill();
    child.wait();
    return stops / 2;  // entry and exit
  }
}

/// How many system calls `body` makes, in a child.
template <class Body>
long system_calls_of(Body const& body) {
  return system_calls_between_signals(body) - system_calls_between_signals([] {});
}

}  // namespace support

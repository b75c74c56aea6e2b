// SPDX-License-Identifier: BSL-1.0
// Counts what a piece of code asks of the kernel, as strace would.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>

#include "helpers.hpp"

namespace support {

/// From now on this thread is killed, with its process, when it starts another or a thread.
inline void forbid_forks() {
  constexpr auto kNumber = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
#ifdef SYS_fork
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 3, 0),
#endif
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  sock_fprog const program{static_cast<unsigned short>(std::size(filter)), filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) std::abort();
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::abort();
}

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

// SPDX-License-Identifier: BSL-1.0
// Processes by file descriptor: a pid can be reused by a stranger, a pidfd never.
#pragma once

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace multiprocessing::os {

/// Readable once the process has ended, also while it is still a zombie. Close-on-exec.
inline Fd open_pidfd(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) throw_errno("pidfd_open", std::to_string(pid));
  return fd;
}

/// Sends `signal`; false when the process has been reaped already.
inline bool send_signal(Fd const& pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno("pidfd_send_signal", std::to_string(signal));
}

/// How waitid() tells the end of a child.
struct ChildEnd {
  enum class [[nodiscard]] State{Running, Ended, Stolen};
  State state;
  int code;    ///< CLD_EXITED, CLD_KILLED or CLD_DUMPED
  int status;  ///< exit code, or signal number
};

/// Reaps the child if it has ended; never blocks. `Stolen`: somebody else in this process reaped
/// it, or SIGCHLD is ignored, and the kernel no longer tells how it ended.
inline ChildEnd reap_child(Fd const& pidfd) {
  siginfo_t info{};
  auto const result = retry_eintr([&] {
    return ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd.get()), &info,
                    WEXITED | WNOHANG);
  });
  if (result == -1) {
    if (errno == ECHILD) return {ChildEnd::State::Stolen, 0, 0};
    throw_errno("waitid", "P_PIDFD");
  }
  if (info.si_pid == 0) return {ChildEnd::State::Running, 0, 0};
  return {ChildEnd::State::Ended, info.si_code, info.si_status};
}

}  // namespace multiprocessing::os

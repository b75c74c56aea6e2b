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

namespace multiprocessing::os {

namespace pidfd_detail {
// What headers older than the kernel lack; the numbers are the same on all architectures.
inline constexpr long kOpen = 434;
inline constexpr long kSendSignal = 424;
inline constexpr auto kByPidfd = static_cast<idtype_t>(3);
}  // namespace pidfd_detail

/// Empty, with errno, when it can't be opened.
inline Fd try_open_pidfd(pid_t pid) noexcept {
  return above_standard(static_cast<int>(::syscall(pidfd_detail::kOpen, pid, 0)));
}

/// Readable once the process has ended, also while it is still a zombie. Close-on-exec.
inline Fd open_pidfd(pid_t pid) {
  Fd fd = try_open_pidfd(pid);
  if (!fd) throw_errno("pidfd_open", std::to_string(pid));
  return fd;
}

/// Sends `signal`; false when the process has been reaped already. Without a pidfd, to `pid`, which
/// nobody else can have as long as the child has not been reaped.
inline bool send_signal(Fd const& pidfd, pid_t pid, int signal) {
  auto const result = pidfd ? ::syscall(pidfd_detail::kSendSignal, pidfd.get(), signal, nullptr, 0)
                            : ::kill(pid, signal);
  if (result == 0) return true;
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
inline ChildEnd reap_child(Fd const& pidfd, pid_t pid) {
  siginfo_t info{};
  auto const result = retry_eintr([&] {
    return pidfd ? ::waitid(pidfd_detail::kByPidfd, static_cast<id_t>(pidfd.get()), &info,
                            WEXITED | WNOHANG)
                 : ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
  });
  if (result == -1) {
    if (errno == ECHILD) return {ChildEnd::State::Stolen, 0, 0};
    throw_errno("waitid", "P_PIDFD");
  }
  if (info.si_pid == 0) return {ChildEnd::State::Running, 0, 0};
  return {ChildEnd::State::Ended, info.si_code, info.si_status};
}

}  // namespace multiprocessing::os

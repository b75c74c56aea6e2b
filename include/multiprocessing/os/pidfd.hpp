// SPDX-License-Identifier: BSL-1.0
// Processes by file descriptor: a pid can be reused by a stranger, a pidfd never.
#pragma once

#include <sys/wait.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include <multiprocessing/os/fd.hpp>

namespace multiprocessing::os {

namespace pidfd_detail {
// What headers older than the kernel lack; the numbers are the same on all architectures.
inline constexpr long kOpen = 434;
inline constexpr long kSendSignal = 424;
inline constexpr auto kByPidfd = static_cast<idtype_t>(3);
}  // namespace pidfd_detail

/// Empty, with errno, when it can't be opened.
Fd try_open_pidfd(pid_t pid) noexcept;

/// Readable once the process has ended, also while it is still a zombie. Close-on-exec.
Fd open_pidfd(pid_t pid);

/// Now, in the clock in which the kernel tells when a process began.
std::uint64_t ticks_since_boot() noexcept;

/// What /proc says of a process.
struct ProcessStat {
  char state;  ///< 'R', 'S', .. 'Z' for a zombie
  pid_t parent;
  std::uint64_t start_time;  ///< in the clock of ticks_since_boot()
};

/// nullopt when there is no such process, or no such thread of it, or no /proc.
std::optional<ProcessStat> stat_of(pid_t pid, std::optional<pid_t> thread = std::nullopt);

/// Whether the process that had `pid` at the time `seen_at` (in ticks since boot) still runs:
/// zombies do not, and whoever was given the pid later is somebody else.
bool is_running(pid_t pid, std::uint64_t seen_at);

/// Sends `signal`; false when the process has been reaped already. Without a pidfd, to `pid`, which
/// nobody else can have as long as the child has not been reaped.
bool send_signal(Fd const& pidfd, pid_t pid, int signal);

/// What a process used in its life.
struct ChildUsage {
  /// Bytes that were resident at a time. A forked child begins with what it has in common with its
  /// parent; a spawned one, in the kernel's account, with the most that its parent ever had.
  std::uint64_t peak_memory = 0;
  /// Processor time, that of its own children included that it waited for.
  std::chrono::microseconds user_time{0};
  std::chrono::microseconds system_time{0};
};

/// How waitid() tells the end of a child.
struct ChildEnd {
  enum class [[nodiscard]] State{Running, Ended, Stolen};
  State state;
  int code;    ///< CLD_EXITED, CLD_KILLED or CLD_DUMPED
  int status;  ///< exit code, or signal number
  ChildUsage usage = {};
};

/// Reaps the child if it has ended; never blocks. `Stolen`: somebody else in this process reaped
/// it, or SIGCHLD is ignored, and the kernel no longer tells how it ended.
ChildEnd reap_child(Fd const& pidfd, pid_t pid);

}  // namespace multiprocessing::os

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/os/pidfd.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
// Processes by file descriptor: a pid can be reused by a stranger, a pidfd never.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/text_file.hpp>

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

/// Now, in the clock in which the kernel tells when a process began.
inline std::uint64_t ticks_since_boot() noexcept {
  // Every forked child asks: so no function that it would not need otherwise, whose pages the
  // kernel would have to map for it. syscall() it needs.
  static auto const ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  timespec now{};
  ::syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ticks +
         static_cast<std::uint64_t>(now.tv_nsec) * ticks / 1'000'000'000;
}

/// What /proc says of a process.
struct ProcessStat {
  char state;  ///< 'R', 'S', .. 'Z' for a zombie
  pid_t parent;
  std::uint64_t start_time;  ///< in the clock of ticks_since_boot()
};

/// nullopt when there is no such process, or no such thread of it, or no /proc.
inline std::optional<ProcessStat> stat_of(pid_t pid, std::optional<pid_t> thread = std::nullopt) {
  auto const task = thread ? "/task/" + std::to_string(*thread) : "";
  auto const text = read_text_file("/proc/" + std::to_string(pid) + task + "/stat");
  // The name in parentheses may hold anything; field 3, the state, follows the last one.
  constexpr int kParent = 4;
  constexpr int kStart = 22;
  auto const name_end = text.rfind(") ");
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return std::nullopt;
  auto at = name_end + 1;
  std::uint64_t parent = 0;
  for (int field = 3; field < kStart && at != std::string::npos; ++field) {
    if (field == kParent) parent = number_after(std::string_view(text).substr(at), " ").value_or(0);
    at = text.find(' ', at + 1);
  }
  if (at == std::string::npos) return std::nullopt;
  auto const start_time = number_after(std::string_view(text).substr(at), " ");
  return ProcessStat{text[name_end + 2], static_cast<pid_t>(parent), start_time.value_or(0)};
}

/// Whether the process that had `pid` at the time `seen_at` (in ticks since boot) still runs:
/// zombies do not, and whoever was given the pid later is somebody else.
inline bool is_running(pid_t pid, std::uint64_t seen_at) {
  Fd const pidfd = try_open_pidfd(pid);
  if (!pidfd && (errno == ESRCH || errno == EINVAL || errno == ENOENT)) return false;
  auto const stat = stat_of(pid);
  if (stat && stat->start_time > seen_at) return false;
  if (!pidfd && stat) return stat->state != 'Z' && stat->state != 'X';
  if (!pidfd) return ::kill(pid, 0) == 0 || errno != ESRCH;  // may be a zombie: nobody can tell
  pollfd ended{pidfd.get(), POLLIN, 0};
  return retry_eintr([&] { return ::poll(&ended, 1, 0); }) == 0;
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
inline ChildEnd reap_child(Fd const& pidfd, pid_t pid) {
  siginfo_t info{};
  rusage used{};
  // By its number: the C library's function does not ask for what was used.
  auto const result = retry_eintr([&] {
    return ::syscall(SYS_waitid, pidfd ? pidfd_detail::kByPidfd : P_PID,
                     static_cast<id_t>(pidfd ? pidfd.get() : pid), &info, WEXITED | WNOHANG, &used);
  });
  if (result == -1) {
    if (errno == ECHILD) return {ChildEnd::State::Stolen, 0, 0};
    throw_errno("waitid", "P_PIDFD");
  }
  if (info.si_pid == 0) return {ChildEnd::State::Running, 0, 0};
  auto const duration = [](timeval const& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  constexpr std::uint64_t kKilobyte = 1024;
  return {ChildEnd::State::Ended,
          info.si_code,
          info.si_status,
          {static_cast<std::uint64_t>(used.ru_maxrss) * kKilobyte, duration(used.ru_utime),
           duration(used.ru_stime)}};
}

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// The bodies of pidfd.hpp.
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

#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/os/fd.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/system_call.hpp>
#include <multiprocessing/os/text_file.hpp>

namespace multiprocessing::os {

MULTIPROCESSING_INLINE Fd try_open_pidfd(pid_t pid) noexcept {
  return above_standard(static_cast<int>(::syscall(pidfd_detail::kOpen, pid, 0)));
}

MULTIPROCESSING_INLINE Fd open_pidfd(pid_t pid) {
  Fd fd = try_open_pidfd(pid);
  if (!fd) throw_errno("pidfd_open", std::to_string(pid));
  return fd;
}

MULTIPROCESSING_INLINE std::uint64_t ticks_since_boot() noexcept {
  // Every forked child asks: so no function that it would not need otherwise, whose pages the
  // kernel would have to map for it. syscall() it needs.
  static auto const ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  timespec now{};
  ::syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * ticks +
         static_cast<std::uint64_t>(now.tv_nsec) * ticks / 1'000'000'000;
}

MULTIPROCESSING_INLINE std::optional<ProcessStat> stat_of(pid_t pid, std::optional<pid_t> thread) {
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

MULTIPROCESSING_INLINE bool is_running(pid_t pid, std::uint64_t seen_at) {
  Fd const pidfd = try_open_pidfd(pid);
  if (!pidfd && (errno == ESRCH || errno == EINVAL || errno == ENOENT)) return false;
  auto const stat = stat_of(pid);
  if (stat && stat->start_time > seen_at) return false;
  if (!pidfd && stat) return stat->state != 'Z' && stat->state != 'X';
  if (!pidfd) return ::kill(pid, 0) == 0 || errno != ESRCH;  // may be a zombie: nobody can tell
  pollfd ended{pidfd.get(), POLLIN, 0};
  return retry_eintr([&] { return ::poll(&ended, 1, 0); }) == 0;
}

MULTIPROCESSING_INLINE bool send_signal(Fd const& pidfd, pid_t pid, int signal) {
  auto const result = pidfd ? ::syscall(pidfd_detail::kSendSignal, pidfd.get(), signal, nullptr, 0)
                            : ::kill(pid, signal);
  if (result == 0) return true;
  if (errno == ESRCH) return false;
  throw_errno("pidfd_send_signal", std::to_string(signal));
}

MULTIPROCESSING_INLINE ChildEnd reap_child(Fd const& pidfd, pid_t pid) {
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

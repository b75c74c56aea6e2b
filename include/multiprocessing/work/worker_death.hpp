// SPDX-License-Identifier: BSL-1.0
// The death of a pool's worker, told: as a line, and as the exception of who waited for its work.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/os/code_name.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/work/retry_on.hpp>
#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::work {

/// How a process ended, as waitid(2) says it; 0: nobody knows.
inline std::int32_t end_code(ExitStatus const& status) noexcept {
  return status.unknown() ? 0 : status.signaled() ? CLD_KILLED : CLD_EXITED;
}
inline std::int32_t end_status(ExitStatus const& status) noexcept {
  return status.signaled() ? status.signal() : status.exitcode();
}

/// "2 before it had died, too", or nothing. REQUIRES: the task is lost.
inline std::string told_of_other_deaths(TaskEntry const& task, TaskAnnex const& annex) {
  if (task.retries == 0 || annex.deaths == 0) return {};
  auto text = std::to_string(annex.deaths) + " before it had died, too";
  if (task.may_be_retried_after(RetryOn::crash)) text += ", so it is not run again";
  return text;
}

struct WorkerDeath {
  std::int32_t pid = 0;
  std::int32_t end_code = 0;  ///< CLD_EXITED or CLD_KILLED; 0: nobody knows
  std::int32_t end_status = 0;
  std::uint64_t peak_memory = 0;     ///< bytes; 0: nobody knows
  std::int32_t crashed_by = 0;       ///< its own handler saw this signal; 0: none
  WorkerDied::Details details = {};  ///< but for the peak memory

  ExitStatus status() const noexcept {
    auto const state = end_code == 0 ? os::ChildEnd::State::Stolen : os::ChildEnd::State::Ended;
    return ExitStatus::from({state, end_code, end_status});
  }

  /// "worker process 12 was killed by SIGSEGV (segmentation fault) at address 0x0"
  std::string how() const {
    auto text = "worker process " + std::to_string(pid) + " " + status().to_string();
    if (crashed_by != 0) text += " (" + os::signal_description(crashed_by) + ")";
    if (details.fault_address) text += " at address " + os::hexadecimal(*details.fault_address);
    return text;
  }

  /// "; its peak memory was 12 MiB", or nothing.
  std::string memory() const {
    constexpr double kMiB = 1024 * 1024;
    if (peak_memory == 0) return {};
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "; its peak memory was %.0f MiB",
                  static_cast<double>(peak_memory) / kMiB);
    return text.data();
  }

  /// All of it, but for the callers of where it crashed.
  std::string line() const {
    auto const& frames = details.backtrace;
    return how() + (frames.empty() ? "" : " in " + frames.front()) + memory();
  }
};

/// `what`: the call, and the items. `more`: what else there is to say, or nothing.
[[noreturn]] inline void throw_worker_died(std::string const& what, WorkerDeath const& death,
                                           std::string const& more = {}) {
  auto text = what + ": " + death.how() + " while it ran it" + more + death.memory();
  auto details = death.details;
  for (auto const& frame : details.backtrace) text += "\n    " + frame;
  if (death.peak_memory != 0) details.peak_memory = death.peak_memory;
  throw WorkerDied(text, death.pid, death.status().exitcode(), std::move(details));
}

}  // namespace multiprocessing::work

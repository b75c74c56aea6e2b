// SPDX-License-Identifier: BSL-1.0
// The death of a pool's worker, told: as a line, and as the exception of who waited for its work.
#pragma once

#include <cstdint>
#include <string>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/work/task_entry.hpp>

namespace multiprocessing::work {

/// How a process ended, as waitid(2) says it; 0: nobody knows.
std::int32_t end_code(ExitStatus const& status) noexcept;
std::int32_t end_status(ExitStatus const& status) noexcept;

/// "2 before it had died, too", or nothing. REQUIRES: the task is lost.
std::string told_of_other_deaths(TaskEntry const& task, TaskAnnex const& annex);

struct WorkerDeath {
  std::int32_t pid = 0;
  std::int32_t end_code = 0;  ///< CLD_EXITED or CLD_KILLED; 0: nobody knows
  std::int32_t end_status = 0;
  std::uint64_t peak_memory = 0;     ///< bytes; 0: nobody knows
  std::int32_t crashed_by = 0;       ///< its own handler saw this signal; 0: none
  WorkerDied::Details details = {};  ///< but for the peak memory

  ExitStatus status() const noexcept;

  /// "worker process 12 was killed by SIGSEGV (segmentation fault) at address 0x0"
  std::string how() const;

  /// "; its peak memory was 12 MiB", or nothing.
  std::string memory() const;

  /// All of it, but for the callers of where it crashed.
  std::string line() const;
};

/// `what`: the call, and the items. `more`: what else there is to say, or nothing.
[[noreturn]] void throw_worker_died(std::string const& what, WorkerDeath const& death,
                                    std::string const& more = {});

}  // namespace multiprocessing::work

#ifndef MULTIPROCESSING_SEPARATE_COMPILATION
#include <multiprocessing/work/worker_death.ipp>
#endif

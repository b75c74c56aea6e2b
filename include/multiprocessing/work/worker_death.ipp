// SPDX-License-Identifier: BSL-1.0
// The bodies of worker_death.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include <multiprocessing/base/errors.hpp>
#include <multiprocessing/base/separate_compilation.hpp>
#include <multiprocessing/launch/exit_status.hpp>
#include <multiprocessing/os/code_name.hpp>
#include <multiprocessing/os/pidfd.hpp>
#include <multiprocessing/os/signals.hpp>
#include <multiprocessing/work/retry_on.hpp>
#include <multiprocessing/work/task_entry.hpp>
#include <multiprocessing/work/worker_death.hpp>

namespace multiprocessing::work {

MULTIPROCESSING_INLINE std::int32_t end_code(ExitStatus const& status) noexcept {
  return status.unknown() ? 0 : status.signaled() ? CLD_KILLED : CLD_EXITED;
}

MULTIPROCESSING_INLINE std::int32_t end_status(ExitStatus const& status) noexcept {
  return status.signaled() ? status.signal() : status.exitcode();
}

MULTIPROCESSING_INLINE std::string told_of_other_deaths(TaskEntry const& task,
                                                        TaskAnnex const& annex) {
  if (task.retries == 0 || annex.deaths == 0) return {};
  auto text = std::to_string(annex.deaths) + " before it had died, too";
  if (task.may_be_retried_after(RetryOn::crash)) text += ", so it is not run again";
  return text;
}

MULTIPROCESSING_INLINE ExitStatus WorkerDeath::status() const noexcept {
  auto const state = end_code == 0 ? os::ChildEnd::State::Stolen : os::ChildEnd::State::Ended;
  return ExitStatus::from({state, end_code, end_status});
}

MULTIPROCESSING_INLINE std::string WorkerDeath::how() const {
  auto text = "worker process " + std::to_string(pid) + " " + status().to_string();
  if (crashed_by != 0) text += " (" + os::signal_description(crashed_by) + ")";
  if (details.fault_address) text += " at address " + os::hexadecimal(*details.fault_address);
  return text;
}

MULTIPROCESSING_INLINE std::string WorkerDeath::memory() const {
  constexpr double kMiB = 1024 * 1024;
  if (peak_memory == 0) return {};
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "; its peak memory was %.0f MiB",
                static_cast<double>(peak_memory) / kMiB);
  return text.data();
}

MULTIPROCESSING_INLINE std::string WorkerDeath::line() const {
  auto const& frames = details.backtrace;
  return how() + (frames.empty() ? "" : " in " + frames.front()) + memory();
}

MULTIPROCESSING_INLINE void throw_worker_died(std::string const& what, WorkerDeath const& death,
                                              std::string const& more) {
  auto text = what + ": " + death.how() + " while it ran it" + more + death.memory();
  auto details = death.details;
  for (auto const& frame : details.backtrace) text += "\n    " + frame;
  if (death.peak_memory != 0) details.peak_memory = death.peak_memory;
  throw WorkerDied(text, death.pid, death.status().exitcode(), std::move(details));
}

}  // namespace multiprocessing::work

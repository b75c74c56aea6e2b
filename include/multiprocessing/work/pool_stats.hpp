// SPDX-License-Identifier: BSL-1.0
// What a pool is doing, for who looks at it.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <multiprocessing/os/text_file.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>

namespace multiprocessing {

/// A worker at some moment. Python: none
struct WorkerStats {
  int number = 0;         ///< from 0 on; a worker's successor has the same
  int pid = 0;            ///< 0: it has ended, and has no successor yet
  bool is_ready = false;  ///< its initializer has returned
  /// For how long it has run its task, or chunk, in steps of some milliseconds; none: it waits.
  std::optional<std::chrono::nanoseconds> running_for = std::nullopt;
  std::uint64_t tasks_done = 0;  ///< and chunks, by it and those before it
  std::uint64_t restarts = 0;    ///< how many were before it
  std::uint64_t memory = 0;      ///< bytes that it has in memory, shared ones included
};

/// Python: none
struct PoolStats {
  std::vector<WorkerStats> workers;
  std::uint64_t tasks_waiting = 0;  ///< that no worker has begun; some may have been given up

  std::uint64_t tasks_done() const noexcept { return sum(&WorkerStats::tasks_done); }
  std::uint64_t restarts() const noexcept { return sum(&WorkerStats::restarts); }

 private:
  std::uint64_t sum(std::uint64_t WorkerStats::*member) const noexcept {
    std::uint64_t all = 0;
    for (auto const& worker : workers) all += worker.*member;
    return all;
  }
};

namespace work {

/// Bytes that the process has in memory; 0 when there is none.
inline std::uint64_t resident_memory(int pid) {
  auto const text = os::read_text_file("/proc/" + std::to_string(pid) + "/statm");
  auto const pages = os::number_after(text, " ").value_or(0);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Blocks: no; reads a file of the system's for each worker. Throws: std::logic_error in another
/// process than the owner's.
inline PoolStats stats_of(char const* call, Crew const& crew) {
  crew.require_owner(call);
  auto const& board = crew.board();
  PoolStats stats;
  stats.tasks_waiting = board.tasks.waiting();
  for (int number = 0; number < crew.workers(); ++number) {
    auto const& page = board.pages[number];
    auto const& account = page.account;
    WorkerStats worker{.number = number, .pid = board.worker_pids[number].load()};
    worker.is_ready = page.is_ready.load();
    worker.tasks_done = account.done.load();
    worker.restarts = account.restarts.load();
    auto const begun = account.begun.load();
    if (worker.pid != 0 && begun != 0) {
      worker.running_for = std::chrono::nanoseconds(coarse_time() - begun);
    }
    if (worker.pid != 0) worker.memory = resident_memory(worker.pid);
    stats.workers.push_back(worker);
  }
  return stats;
}

}  // namespace work

}  // namespace multiprocessing

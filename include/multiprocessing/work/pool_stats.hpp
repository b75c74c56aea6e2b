// SPDX-License-Identifier: BSL-1.0
// What a pool is doing, for who looks at it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <multiprocessing/os/clock.hpp>
#include <multiprocessing/os/resident_memory.hpp>
#include <multiprocessing/work/board.hpp>
#include <multiprocessing/work/crew.hpp>

namespace multiprocessing {

/// A worker at some moment. Python: none
struct WorkerStats {
  int number = 0;         ///< from 0 on; a worker's successor has the same
  int pid = 0;            ///< 0: it has ended, and has no successor yet
  bool is_ready = false;  ///< it runs, and its initializer has returned
  /// For how long it has run its task, or chunk, in steps of some milliseconds; none: it waits.
  std::optional<std::chrono::nanoseconds> running_for = std::nullopt;
  std::uint64_t tasks_done = 0;  ///< runs of tasks, and chunks, by it and those before it
  std::uint64_t restarts = 0;    ///< how many were before it
  std::uint64_t memory = 0;      ///< bytes that it has in memory, shared ones included
};

/// Python: none
struct PoolStats {
  std::vector<WorkerStats> workers;  ///< also those that resize() has sent away
  std::uint64_t tasks_waiting = 0;   ///< that no worker has begun; some may have been given up

  /// Of all workers together.
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

/// Blocks: no; reads a file of the system's for each worker. Throws: std::logic_error in another
/// process than the owner's.
inline PoolStats stats_of(char const* call, Crew const& crew) {
  crew.require_owner(call);
  auto const& board = crew.board();
  PoolStats stats;
  stats.tasks_waiting = board.tasks.waiting();
  auto const workers = static_cast<int>(board.idle.size());
  for (int number = 0; number < workers; ++number) {
    auto const& page = board.pages[number];
    auto const& account = page.account;
    WorkerStats worker{.number = number, .pid = board.worker_pids[number].load()};
    worker.is_ready = worker.pid != 0 && page.is_ready.load();
    worker.tasks_done = account.done.load();
    auto const lives = account.lives.load();
    worker.restarts = lives == 0 ? 0 : lives - 1;
    auto const begun = account.begun.load();
    if (worker.pid != 0 && begun != 0) {
      worker.running_for = std::chrono::nanoseconds(os::coarse_monotonic_time() - begun);
    }
    if (worker.pid != 0) worker.memory = os::resident_memory(worker.pid);
    stats.workers.push_back(worker);
  }
  return stats;
}

}  // namespace work

}  // namespace multiprocessing

// SPDX-License-Identifier: BSL-1.0
// What is written down of a worker's work, for who looks at it: three plain stores for each task.
#pragma once

#include <atomic>
#include <cstdint>

#include <multiprocessing/os/clock.hpp>

namespace multiprocessing::work {

/// Lives in a segment, for a worker and its successors. All may read.
struct WorkerAccount {
  std::atomic<std::int64_t> begun{0};   ///< when its task was, by the coarse clock; 0: it has none
  std::atomic<std::uint64_t> done{0};   ///< runs of tasks, and chunks
  std::atomic<std::uint64_t> lives{0};  ///< how many processes it has been

  // By the worker. relaxed: pairs with nothing, each of them stands for itself.
  void begin() noexcept { begun.store(os::coarse_monotonic_time(), std::memory_order_relaxed); }
  void end() noexcept {
    begun.store(0, std::memory_order_relaxed);
    done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // By the nursery, while there is no worker.
  void start() noexcept { lives.fetch_add(1); }
  void end_of_worker() noexcept { begun = 0; }
};

}  // namespace multiprocessing::work

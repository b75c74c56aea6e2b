// SPDX-License-Identifier: BSL-1.0
// What a worker writes down of its work, for who looks at it: two plain stores for each task.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

namespace multiprocessing::work {

/// In ns since some time of the system's, in steps of some milliseconds, at the price of a load.
inline std::int64_t coarse_time() noexcept {
  constexpr std::int64_t kBillion = 1'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * kBillion + now.tv_nsec;
}

/// Lives in a segment. `restarts` is the nursery's, the rest the worker's; all may read.
struct WorkerAccount {
  std::atomic<std::int64_t> begun{0};  ///< when its task was, or chunk; 0: it has none
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> restarts{0};

  // relaxed: pairs with nothing, each of them stands for itself
  void begin() noexcept { begun.store(coarse_time(), std::memory_order_relaxed); }
  void end() noexcept {
    begun.store(0, std::memory_order_relaxed);
    done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  /// By the nursery, between a worker and its successor.
  void restart() noexcept {
    begun = 0;
    restarts.fetch_add(1);
  }
};

}  // namespace multiprocessing::work

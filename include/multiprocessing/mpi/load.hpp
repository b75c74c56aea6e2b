// SPDX-License-Identifier: BSL-1.0
// How many tasks a rank should have: enough that none of its workers ever waits for the network,
// and not so many that others have nothing to do while they wait there.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <multiprocessing/base/deadline.hpp>

namespace multiprocessing::mpi {

/// What the first rank knows of another's work. Threads: one.
class Load {
 public:
  using Clock = base::Deadline::Clock;

  explicit Load(std::uint32_t workers) noexcept : workers_(workers) {}

  std::uint32_t workers() const noexcept { return workers_; }
  std::uint32_t tasks() const noexcept { return tasks_; }
  /// Workers that have nothing to do.
  std::uint32_t idle_workers() const noexcept { return workers_ - std::min(workers_, tasks_); }
  /// Tasks that no worker can have begun.
  std::uint32_t waiting_tasks() const noexcept { return tasks_ - std::min(workers_, tasks_); }

  /// How many more it should get now.
  std::uint32_t room() const noexcept {
    auto const window = std::min(workers_ + std::max<std::uint32_t>(ahead_, 1), kMost);
    if (tasks_ >= window || (bytes_ >= kMostBytes && tasks_ >= workers_)) return 0;
    return window - tasks_;
  }

  void add(std::uint64_t bytes, Clock::time_point now) noexcept {
    if (tasks_++ == 0) since_ = now;
    bytes_ += bytes;
  }
  /// One is done, or has come back: then it says nothing of how fast the rank is.
  void remove(std::uint64_t bytes) noexcept {
    --tasks_;
    bytes_ -= bytes;
  }
  /// So many were done since the last time, or since it had nothing to do.
  void note_done(std::uint32_t count, Clock::time_point now) noexcept {
    done_ += count;
    auto const period = now - since_;
    if (period < kShortestPeriod) return;
    auto const in_ahead = std::chrono::duration<double>(kAhead) / period * done_;
    // Up at once, down by halves: a moment's silence says little.
    auto const next = static_cast<std::uint32_t>(std::min<double>(in_ahead, kMost));
    ahead_ = std::max(next, ahead_ / 2);
    done_ = 0;
    since_ = now;
  }
  /// Its tasks take longer than was thought.
  void slow_down() noexcept { ahead_ /= 2; }

 private:
  // Work for so long lies ready: a few round trips of a network, with both ends asleep.
  static constexpr std::chrono::milliseconds kAhead{4};
  // Shorter ones would measure single packets.
  static constexpr std::chrono::milliseconds kShortestPeriod{1};
  // Of microseconds each, what is done in kAhead.
  static constexpr std::uint32_t kMost = 4096;
  // Enough to keep any network busy, and little to hold twice.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;

  std::uint32_t workers_;
  std::uint32_t tasks_ = 0;
  std::uint64_t bytes_ = 0;  // of their inputs
  std::uint32_t ahead_ = 0;  // beyond a task for each worker
  std::uint32_t done_ = 0;
  Clock::time_point since_{};
};

}  // namespace multiprocessing::mpi

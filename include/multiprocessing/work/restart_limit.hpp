// SPDX-License-Identifier: BSL-1.0
// How many workers may die before their pool says that it is broken.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include <multiprocessing/base/deadline.hpp>

namespace multiprocessing::work {

/// More than `intensity` deaths within `period_ms` are too many. Python: none; Erlang's supervisors
/// have it.
struct RestartLimit {
  std::uint32_t intensity = UINT32_MAX;  ///< this: as many as there will be
  std::uint32_t period_ms = 5000;
};

/// Threads: one.
class DeathCount {
 public:
  using Clock = base::Deadline::Clock;

  explicit DeathCount(RestartLimit const& limit) : limit_(limit) {}

  /// One more. Whether these are too many.
  bool add(Clock::time_point now) {
    if (limit_.intensity == UINT32_MAX) return false;
    auto const begin = now - std::chrono::milliseconds(limit_.period_ms);
    while (!times_.empty() && times_.front() < begin) times_.pop_front();
    times_.push_back(now);
    return times_.size() > limit_.intensity;
  }

 private:
  RestartLimit const limit_;
  std::deque<Clock::time_point> times_;  // of the last period
};

}  // namespace multiprocessing::work

// SPDX-License-Identifier: BSL-1.0
// How long who waits for messages sleeps between two looks: MPI has nothing to sleep on.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

#include <multiprocessing/base/deadline.hpp>

namespace multiprocessing::mpi {

/// Threads: one.
class Rest {
 public:
  using Clock = base::Deadline::Clock;
  using Duration = Clock::duration;

  /// Who rests as long does so for good, as like as not.
  static constexpr Duration kLong = std::chrono::seconds(5);

  /// Something has happened.
  void reset(Clock::time_point now = Clock::now()) noexcept {
    looks_ = 0;
    sleep_ = kFirst;
    begin_ = now;
  }

  /// Whether nothing has happened for so long that it may take a while until something does.
  bool is_long(Clock::time_point now = Clock::now()) const noexcept {
    return now - begin_ >= kLong;
  }

  /// Zero: yields the processor only. After a vain look.
  Duration next(Clock::time_point now = Clock::now()) noexcept {
    if (looks_ < kLooksBeforeSleep) {
      ++looks_;
      return Duration::zero();
    }
    auto const longest = std::clamp((now - begin_) / kPart, kAtWork, kAtRest);
    return std::exchange(sleep_, std::min(2 * sleep_, longest));
  }

 private:
  // About what a message between two processes of one machine takes, there and back.
  static constexpr int kLooksBeforeSleep = 20;
  static constexpr Duration kFirst = std::chrono::microseconds(20);
  // Costs about a percent of a processor.
  static constexpr Duration kAtWork = std::chrono::milliseconds(1);
  // Who has rested has no hurry: one that is woken is late by a hundredth of its rest.
  static constexpr int kPart = 100;
  static constexpr Duration kAtRest = std::chrono::milliseconds(50);

  int looks_ = 0;
  Duration sleep_ = kFirst;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace multiprocessing::mpi

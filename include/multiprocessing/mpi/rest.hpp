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
  using Duration = base::Deadline::Clock::duration;

  /// Something has happened.
  void reset() noexcept {
    looks_ = 0;
    sleep_ = kFirst;
    begin_ = base::Deadline::Clock::now();
  }

  /// Zero: yields the processor only. After a vain look.
  Duration next() noexcept {
    if (looks_ < kLooksBeforeSleep) {
      ++looks_;
      return Duration::zero();
    }
    bool const is_long = base::Deadline::Clock::now() - begin_ > kLong;
    return std::exchange(sleep_, std::min(2 * sleep_, is_long ? kAtRest : kAtWork));
  }

 private:
  // About what a message between two processes of one machine takes, there and back.
  static constexpr int kLooksBeforeSleep = 20;
  static constexpr Duration kFirst = std::chrono::microseconds(20);
  // Half a percent of a processor.
  static constexpr Duration kAtWork = std::chrono::milliseconds(1);
  // A tenth of that: who has rested so long has no hurry.
  static constexpr Duration kAtRest = std::chrono::milliseconds(10);
  static constexpr Duration kLong = std::chrono::seconds(1);

  int looks_ = 0;
  Duration sleep_ = kFirst;
  base::Deadline::Clock::time_point begin_ = base::Deadline::Clock::now();
};

}  // namespace multiprocessing::mpi

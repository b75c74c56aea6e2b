// SPDX-License-Identifier: BSL-1.0
// Times that all processes of a machine count alike, as numbers.
#pragma once

#include <time.h>

#include <cstdint>

namespace multiprocessing::os {

namespace clock_detail {
inline std::int64_t nanoseconds_by(clockid_t clock) noexcept {
  constexpr std::int64_t kBillion = 1'000'000'000;
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kBillion + now.tv_nsec;
}
}  // namespace clock_detail

/// In ns since some time of the system's.
inline std::int64_t monotonic_time() noexcept {
  return clock_detail::nanoseconds_by(CLOCK_MONOTONIC);
}
/// The same in steps of some milliseconds, for a few ns.
inline std::int64_t coarse_monotonic_time() noexcept {
  return clock_detail::nanoseconds_by(CLOCK_MONOTONIC_COARSE);
}

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// Whether the machine had time for a measurement.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "result.hpp"

namespace bench {

/// Of this process and of those that it has joined.
inline double processor_seconds() {
  double seconds = 0;
  for (auto const who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used;
    ::getrusage(who, &used);
    for (auto const& each : {used.ru_utime, used.ru_stime}) {
      seconds += static_cast<double>(each.tv_sec) + 1e-6 * static_cast<double>(each.tv_usec);
    }
  }
  return seconds;
}

/// What others take of the processors, from its construction on.
class Disturbance {
 public:
  /// Their share, now that all of ours are joined.
  double share() const {
    auto const all = std::chrono::duration<double>(Clock::now() - begun_).count() * processors();
    return (all - (idle_seconds() - idle_) - (processor_seconds() - ours_)) / all;
  }

 private:
  static double processors() { return static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN)); }
  static double idle_seconds() {
    std::ifstream file("/proc/stat");
    std::string name;
    double user = 0;
    double nice = 0;
    double system = 0;
    double idle = 0;
    double waiting = 0;
    file >> name >> user >> nice >> system >> idle >> waiting;
    return (idle + waiting) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

  Clock::time_point begun_ = Clock::now();
  double idle_ = idle_seconds();
  double ours_ = processor_seconds();
};

// A compiler beside takes half of two processors; the clock of /proc/stat ticks in 10 ms.
inline constexpr double kTooMuch = 0.1;

/// Waits until others leave the machine alone, but at most for `patience`.
inline void wait_for_quiet(std::chrono::seconds patience) {
  auto const end = Clock::now() + patience;
  while (Clock::now() < end) {
    Disturbance const others;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (others.share() < kTooMuch) return;
  }
}

}  // namespace bench

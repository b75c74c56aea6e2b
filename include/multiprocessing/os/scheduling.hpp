// SPDX-License-Identifier: BSL-1.0
// On which processors this process runs, and how eagerly.
#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <string>
#include <vector>

#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

/// Throws: std::system_error for a number that no processor has.
inline cpu_set_t processor_set(std::vector<int> const& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int const cpu : cpus) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
      throw_error(EINVAL, "sched_setaffinity", std::to_string(cpu));
    }
    CPU_SET(cpu, &set);
  }
  return set;
}

/// The calling thread, and those that it makes. Throws: std::system_error.
inline void run_on(cpu_set_t const& cpus) {
  if (::sched_setaffinity(0, sizeof cpus, &cpus) == 0) return;
  int const error = errno;
  std::string text;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &cpus)) continue;
    if (!text.empty()) text += ',';
    text += std::to_string(cpu);
  }
  throw_error(error, "sched_setaffinity", text);
}

/// See setpriority(2). Throws: std::system_error.
inline void set_nice(int nice) {
  if (::setpriority(PRIO_PROCESS, 0, nice) != 0) throw_errno("setpriority", std::to_string(nice));
}

}  // namespace multiprocessing::os

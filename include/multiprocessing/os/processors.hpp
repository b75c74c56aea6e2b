// SPDX-License-Identifier: BSL-1.0
// How many processors there are, how many of them this process may use, and hints for them.
#pragma once

#include <sched.h>
#include <unistd.h>

namespace multiprocessing::os {

/// Tells the processor that this is a spin loop.
inline void relax_processor() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

/// Has the cache line at `place` brought here to be written. Never faults, and costs no wait; but
/// whoever else uses the line has to fetch it again.
inline void prefetch_for_writing(void const* place) noexcept {
#if defined(__x86_64__)
  // The builtin makes it a prefetch for reading, unless it is told of a newer processor.
  asm volatile("prefetchw %0" ::"m"(*static_cast<char const*>(place)));
#else
  __builtin_prefetch(place, 1);
#endif
}

inline int logical_processors() noexcept {
  auto const count = ::sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<int>(count) : 1;
}

/// Where the calling thread runs, by number; -1 where the kernel does not tell. No system call.
inline int this_processor() noexcept { return ::sched_getcpu(); }

/// Honours the affinity mask.
inline int usable_processors() noexcept {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return logical_processors();
  int const count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

/// Lets another process that could run do so, if there is one.
inline void yield_processor() noexcept { ::sched_yield(); }

}  // namespace multiprocessing::os

// SPDX-License-Identifier: BSL-1.0
// Copies into memory that another processor reads.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <atomic>
#include <cstddef>
#include <cstring>

#include <multiprocessing/base/sanitizers.hpp>

namespace multiprocessing::os {

namespace copy_detail {
// From this size on; below, there is little to gain.
inline constexpr std::size_t kLarge = std::size_t{8} << 10;

#if defined(__x86_64__) && !MULTIPROCESSING_ADDRESS_SANITIZER && !MULTIPROCESSING_THREAD_SANITIZER
inline bool has_fast_strings() noexcept {
  constexpr unsigned kFeatures = 7;
  constexpr unsigned kEnhancedStrings = 1U << 9;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(kFeatures, 0, &a, &b, &c, &d) != 0 && (b & kEnhancedStrings) != 0;
}
inline bool copy_by_string(void* to, void const* from, std::size_t size) noexcept {
  // Asked once a process. A plain atomic, because the guard of another kind of static could be
  // locked for ever by a fork.
  enum class Known { No, Fast, Slow };
  static std::atomic<Known> known{Known::No};
  if (known.load(std::memory_order_relaxed) == Known::No) {
    known = has_fast_strings() ? Known::Fast : Known::Slow;
  }
  if (known.load(std::memory_order_relaxed) == Known::Slow) return false;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return true;
}
#else
inline bool copy_by_string(void*, void const*, std::size_t) noexcept { return false; }
#endif
}  // namespace copy_detail

/// memcpy, three times as fast where what lies at `to` is in another processor's cache: a string
/// instruction is known to overwrite whole lines, and does not fetch what was there before.
inline void copy_for_others(void* to, void const* from, std::size_t size) noexcept {
  if (size >= copy_detail::kLarge && copy_detail::copy_by_string(to, from, size)) return;
  if (size != 0) std::memcpy(to, from, size);
}

}  // namespace multiprocessing::os

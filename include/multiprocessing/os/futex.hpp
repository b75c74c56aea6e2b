// SPDX-License-Identifier: BSL-1.0
// Sleeping on a 32-bit word that several processes map. Waits end spuriously: callers check again.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <climits>

#include <multiprocessing/base/deadline.hpp>
#include <multiprocessing/os/system_call.hpp>

namespace multiprocessing::os {

using FutexWord = std::atomic<std::uint32_t>;

static_assert(sizeof(FutexWord) == 4 && FutexWord::is_always_lock_free,
              "the kernel compares exactly these four bytes");

enum class [[nodiscard]] FutexResult{MaybeChanged, TimedOut, Unsupported};

/// Sleeps while `word` holds `expected`, until it is woken or the deadline passes.
inline FutexResult futex_wait(FutexWord const& word, std::uint32_t expected,
                              base::Deadline deadline) {
  timespec const when =
      base::to_timespec(deadline.is_never() ? base::Deadline::Clock::duration::zero()
                                            : deadline.time().time_since_epoch());
  // WAIT_BITSET, unlike WAIT, takes an absolute time of the monotonic clock: a retry never drifts.
  auto const result =
      ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected,
                deadline.is_never() ? nullptr : &when, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (result == 0 || errno == EAGAIN || errno == EINTR) return FutexResult::MaybeChanged;
  if (errno == ETIMEDOUT) return FutexResult::TimedOut;
  throw_errno("futex", "FUTEX_WAIT_BITSET");
}

struct FutexExpectation {
  FutexWord const* word;
  std::uint32_t expected;
};

/// As many words as one wait can watch; the kernel's limit.
inline constexpr std::size_t kMostFutexWords = 128;

/// Sleeps while all the words, at most kMostFutexWords, hold what is expected. `Unsupported` before
/// Linux 5.16, or where a sandbox forbids the call.
inline FutexResult futex_wait_any(std::span<FutexExpectation const> words,
                                  base::Deadline deadline) {
  // What headers older than Linux 5.16 lack: the number of the call, FUTEX_32, struct futex_waitv.
  constexpr long kFutexWaitv = 449;
  constexpr std::uint32_t kWordOf32Bits = 2;
  struct Waiter {
    std::uint64_t expected;
    std::uint64_t address;
    std::uint32_t flags;
    std::uint32_t reserved;
  };
  std::array<Waiter, kMostFutexWords> waiters;
  std::transform(words.begin(), words.end(), waiters.begin(), [](FutexExpectation const& e) {
    return Waiter{e.expected, reinterpret_cast<std::uintptr_t>(e.word), kWordOf32Bits, 0};
  });
  timespec const when =
      base::to_timespec(deadline.is_never() ? base::Deadline::Clock::duration::zero()
                                            : deadline.time().time_since_epoch());
  auto const result = ::syscall(kFutexWaitv, waiters.data(), words.size(), 0,
                                deadline.is_never() ? nullptr : &when, CLOCK_MONOTONIC);
  if (result >= 0 || errno == EAGAIN || errno == EINTR) return FutexResult::MaybeChanged;
  if (errno == ETIMEDOUT) return FutexResult::TimedOut;
  if (errno == ENOSYS || errno == EPERM) return FutexResult::Unsupported;
  throw_errno("futex_waitv", std::to_string(words.size()) + " words");
}

/// Wakes up to `count` sleepers. Async-signal-safe.
inline void futex_wake(FutexWord const& word, int count = INT_MAX) noexcept {
  int const errno_before = errno;
  ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  errno = errno_before;
}

/// How a word changes; by 1 to 2047, the twelve bits that the kernel takes.
enum class FutexChange { Add = FUTEX_OP_ADD, Or = FUTEX_OP_OR };

/// Changes `word` and wakes up to `count` sleepers on it, in one system call: whoever is killed has
/// done both or neither. Async-signal-safe. Where it holds UINT32_MAX it wakes one more.
inline void futex_change_and_wake(FutexWord& word, FutexChange change, std::uint32_t by,
                                  int count = INT_MAX) noexcept {
  int const errno_before = errno;
  // The comparison decides whether to wake sleepers of a second word, one at least; what it
  // compares with is -1.
  constexpr int kNever = 0xFFF;
  ::syscall(SYS_futex, &word, FUTEX_WAKE_OP, count, 0L, &word,
            FUTEX_OP(static_cast<int>(change), by, FUTEX_OP_CMP_EQ, kNever));
  errno = errno_before;
}

}  // namespace multiprocessing::os
